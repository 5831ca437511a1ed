"""The world model: one encoder a sensor, one dynamics over all of them (joint-embedding predictive architecture)."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import accumulate
from types import MappingProxyType
from typing import Concatenate, ParamSpec, TypeVar

import torch
from torch import Generator, Tensor, nn

from jepa_mpc.ranges import check_count
from world_model.action_encoders import ActionEncoder
from world_model.building import DEVICE_TYPES
from world_model.dynamics.base import Dynamics, State
from world_model.latent.base import Latent, Transition, squared_error
from world_model.layout import Layout
from world_model.normalizer import Moments, Normalizer, PixelScale
from world_model.types import Explanation, Goal, LatentContext, LatentGoal, LatentTrajectory, Observation, is_image

P = ParamSpec("P")
R = TypeVar("R")


def _in_its_own_precision(method: Callable[Concatenate["JEPA", P], R]) -> Callable[Concatenate["JEPA", P], R]:
    """Keeps automatic casts of a caller away from a model in evaluation mode; a training asks for them itself."""

    @wraps(method)
    def alone(model: "JEPA", /, *args: P.args, **kwargs: P.kwargs) -> R:
        if model.training or not any(map(torch.is_autocast_enabled, DEVICE_TYPES)):
            return method(model, *args, **kwargs)
        with torch.autocast(model.device.type, enabled=False):
            return method(model, *args, **kwargs)

    return alone


class JEPA(nn.Module):
    """Embeds what the sensors read and predicts where actions lead, in embedding space (LeCun 2022, section 4.4).

    Args:
        sensors: Sensor name to the shape of its reading, of every sensor that there is.
        embed_dims: Sensor name to the size of its block, in the order of the blocks. A sensor that is not named is not
            used.
        goal_dim: How many of the first numbers of each camera's block a goal asks for, as those that tell where a thing
            is whatever the robot does; None where it asks for all of them.
        kinds: Groups of sensors in one unit and shape, whose differences the dynamics see; those of a group have one
            normaliser and one encoder.
        encoder: Builds the encoder of one sensor from `input_shape` and `embed_dim`.
        action_encoder: Builds the encoder of actions from `action_dim` (of a control action) and `action_repeat`.
        dynamics: Builds the dynamics from `layout`, `action_dim` (of a model step) and `context_length`.
        latent: Builds what tells several futures apart from `layout` and `action_dim` (of a model step); returns None
            where there is one future.
        context_length: Frames of a recorded window that the dynamics begin with, and all that those see which have no
            state of their own.
        action_dim: Size of a control action.
        action_repeat: Control steps of a model step; a model action is the concatenation of their actions.

    Raises:
        ValueError: `embed_dims` names no sensor, or one that does not exist, or a size below 1; or `kinds` names what
            cannot be compared.
    """

    def __init__(
        self,
        *,
        sensors: Mapping[str, tuple[int, ...]],
        embed_dims: Mapping[str, int],
        goal_dim: int | None,
        kinds: Sequence[Sequence[str]],
        encoder: Callable[..., nn.Module],
        action_encoder: Callable[..., ActionEncoder],
        dynamics: Callable[..., Dynamics],
        latent: Callable[..., Latent | None],
        context_length: int,
        action_dim: int,
        action_repeat: int,
    ) -> None:
        super().__init__()
        _check_embed_dims(embed_dims, sensors)
        check_count("context_length", context_length, least=1)
        check_count("action_repeat", action_repeat, least=1)
        self._context_length = context_length
        blocks = {
            name: slice(end - embed_dims[name], end)
            for name, end in zip(embed_dims, accumulate(embed_dims.values()), strict=True)
        }
        _check_kinds(kinds, sensors, embed_dims)
        self._goal_parts = dict(blocks)
        if goal_dim is not None:
            for name in filter(lambda it: is_image(sensors[it]), blocks):
                self._goal_parts[name] = _beginning(name, blocks[name], goal_dim)
        self._layout = Layout(blocks, kinds)
        self._first_of_kind = {name: kind[0] for kind in kinds for name in kind}
        self._sensors = {name: tuple(sensors[name]) for name in embed_dims}
        distinct = {name: shape for name, shape in self._sensors.items() if self._first_of_kind.get(name, name) == name}
        self.control_action_dim = action_dim
        self.action_repeat = action_repeat
        self.normalizers = nn.ModuleDict(
            {name: PixelScale() if is_image(shape) else Normalizer(shape) for name, shape in distinct.items()}
        )
        self.action_encoder = action_encoder(action_dim=action_dim, action_repeat=action_repeat)
        self.encoders = nn.ModuleDict(
            {name: encoder(input_shape=shape, embed_dim=embed_dims[name]) for name, shape in distinct.items()}
        )
        self.dynamics = dynamics(layout=self._layout, action_dim=self.action_dim, context_length=context_length)
        self.latent = latent(layout=self._layout, action_dim=self.action_dim)
        self.register_load_state_dict_post_hook(_check_loaded)  # type: ignore[no-untyped-call]

    @property
    def embed_dim(self) -> int:
        """The size of an embedding, all blocks together."""
        return self._layout.embed_dim

    @property
    def device(self) -> torch.device:
        """Where the weights are, and readings must be."""
        return next(self.parameters()).device

    @property
    def context_length(self) -> int:
        """How many frames of a recorded window the dynamics begin with."""
        return self._context_length

    @property
    def least_context(self) -> int:
        """The fewest frames that the dynamics can begin with, as at the start of an episode."""
        return self.dynamics.least_context

    @property
    def latent_dim(self) -> int:
        """How many quantiles tell which future a step has; 0 where there is one."""
        return 0 if self.latent is None else self.latent.latent_dim

    @property
    def goal_parts(self) -> Mapping[str, slice]:
        """Sensor name to what a goal for it asks for of an embedding: its block, or what persists of a camera's."""
        return MappingProxyType(self._goal_parts)

    @property
    def blocks(self) -> Mapping[str, slice]:
        """Sensor name to its place in the embedding."""
        return MappingProxyType(self._layout.blocks)

    @property
    def sensors(self) -> Mapping[str, tuple[int, ...]]:
        """Sensor name to the shape of its reading, of the sensors that are used."""
        return MappingProxyType(self._sensors)

    @property
    def action_dim(self) -> int:
        """The size of a model action."""
        return self.control_action_dim * self.action_repeat

    def fit_normalizer(self, sensors: Mapping[str, Moments], actions: Moments) -> None:
        """Takes over the moments of the training data: of each sensor that is no camera, and of control actions."""
        for name, normalizer in self.normalizers.items():
            if isinstance(normalizer, Normalizer):
                of_kind = [moments for it, moments in sensors.items() if self._first_of_kind.get(it, it) == name]
                normalizer.fit(Moments.of_all(of_kind))
        self.action_encoder.fit(actions)

    @_in_its_own_precision
    def encode(self, observation: Observation) -> Tensor:
        """Embeds each frame on its own.

        Args:
            observation: Sensor name to its readings, `[batch, time, *shape]`; sensors that are not used are ignored.

        Returns:
            `[batch, time, embed_dim]`.

        Raises:
            ValueError: A sensor is missing, or its readings have another shape.
        """
        embeddings = []
        for name, shape in self._sensors.items():
            if name not in observation:
                raise ValueError(f"the observation lacks the sensor '{name}', it has {sorted(observation)}")
            readings = observation[name]
            if tuple(readings.shape[2:]) != shape or readings.ndim != 2 + len(shape):
                raise ValueError(
                    f"the sensor '{name}' must have shape [batch, time, {', '.join(map(str, shape))}], "
                    f"got {[*readings.shape]}"
                )
            embeddings.append(self._embed(name, readings.flatten(0, 1)).view(*readings.shape[:2], -1))
        return torch.cat(embeddings, dim=2)

    @_in_its_own_precision
    def encode_goal(self, goal: Goal) -> LatentGoal:
        """Embeds what a goal asks for; all else is 0 and masked out.

        Raises:
            ValueError: The goal names no sensor, or one that is not used, or a reading has another shape.
        """
        if not goal.observation or goal.observation.keys() != goal.asked.keys():
            raise ValueError(
                f"a goal must name sensors among {sorted(self._sensors)} and say for each whether it is asked, "
                f"got {sorted(goal.observation)} and {sorted(goal.asked)}"
            )
        asked = next(iter(goal.asked.values()))
        embedding = next(self.parameters()).new_zeros(len(asked), self.embed_dim)
        mask = torch.zeros_like(embedding, dtype=torch.bool)
        for name, readings in goal.observation.items():
            if name not in self._sensors:
                raise ValueError(f"a goal must name sensors among {sorted(self._sensors)}, got '{name}'")
            if tuple(readings.shape) != (len(asked), *self._sensors[name]):
                raise ValueError(
                    f"the goal for '{name}' must have shape {[len(asked), *self._sensors[name]]}, "
                    f"got {[*readings.shape]}"
                )
            mask[:, self._goal_parts[name]] = goal.asked[name][:, None]
            embedding[:, self.blocks[name]] = self._embed(name, readings)
        embedding = torch.where(mask, embedding, 0.0)
        return LatentGoal(embedding=embedding, mask=mask)

    @_in_its_own_precision
    def follow(self, context: LatentContext, action: Tensor, embedding: Tensor) -> LatentContext:
        """Returns the context one model step later: the dynamics take in what was really perceived.

        Args:
            context: Before; see `rollout`.
            action: `[batch, action_dim]`, what was done, in the units of the recorded actions.
            embedding: `[batch, embed_dim]`, what was perceived after it.

        Raises:
            ValueError: The context has too few frames, or the action another size.
        """
        encoded = self.action_encoder(action[:, None])[:, 0]
        return LatentContext(
            embeddings=embedding[:, None],
            actions=context.actions[:, :0],
            previous_action=action,
            state=self.dynamics.follow(self._state(context, action), encoded, embedding),
        )

    @_in_its_own_precision
    def rollout(self, context: LatentContext, actions: Tensor, latents: Tensor | None = None) -> LatentTrajectory:
        """Imagines where candidate actions lead, differentiably in the actions.

        Args:
            context: Of at least `least_context` frames, or of one with a state.
            actions: `[batch, num_samples, horizon, action_dim]`, in the units of the recorded actions.
            latents: `[batch, num_samples, horizon, latent_dim]`, quantiles in 0..1 that tell which future each step
                has, or None for the most probable ones.

        Raises:
            ValueError: The context has too few frames, or the actions or latents another size.
        """
        self._check_latents(actions, latents)

        def complete(step: int, transition: Transition) -> Tensor:
            assert self.latent is not None
            return self.latent.imagine(transition, None if latents is None else latents[:, :, step].flatten(0, 1))

        return LatentTrajectory(
            embeddings=self._imagine(context, actions, complete),
            actions=actions,
            previous_action=context.previous_action,
            start=context.embeddings[:, -1],
        )

    @_in_its_own_precision
    def posterior_rollout(
        self, context: LatentContext, actions: Tensor, came: Tensor, generator: Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Imagines on from a context along the futures that came: at each step its latent variable is inferred.

        Args:
            context: Of at least `least_context` frames, or of one with a state.
            actions: `[batch, horizon, action_dim]`, that were executed.
            came: `[batch, horizon, embed_dim]`.
            generator: Of all random draws, on the CPU.

        Returns:
            What is imagined, `[batch, horizon, embed_dim]`, and what the latent variable learns by, scalars by name:
            none where there is one future. See `Latent.learn`.

        Raises:
            ValueError: The context has too few frames, or the actions another size.
        """
        learned: list[dict[str, Tensor]] = []

        def complete(step: int, transition: Transition) -> Tensor:
            assert self.latent is not None
            embedding, parts = self.latent.learn(transition, came[:, step], generator)
            learned.append(parts)
            return embedding

        imagined = self._imagine(context, actions[:, None], complete)[:, 0]
        names = learned[0] if learned else ()
        return imagined, {name: torch.stack([parts[name] for parts in learned]).mean() for name in names}

    @_in_its_own_precision
    def foresee(self, context: LatentContext, states: Tensor, actions: Tensor, latents: Tensor | None = None) -> Tensor:
        """Returns where each action leads from the embeddings given before it, all at once.

        Args:
            context: Of at least `least_context` frames, or of one with a state.
            states: `[batch, num_samples, horizon, embed_dim]`, behind each action.
            actions: `[batch, num_samples, horizon, action_dim]`, in the units of the recorded actions.
            latents: `[batch, num_samples, horizon, latent_dim]`, or None for the most probable ones; see `rollout`.

        Returns:
            `[batch, num_samples, horizon, embed_dim]`.

        Raises:
            ValueError: The context has too few frames, or the actions or latents another size.
        """
        self._check_latents(actions, latents)
        num_samples = actions.shape[1]
        state = tuple(part.repeat_interleave(num_samples, dim=0) for part in self._state(context, actions))
        encoded = self.action_encoder(actions.flatten(0, 1))
        _, foreseen = self.dynamics.foresee(state, encoded, states.flatten(0, 1))
        if self.latent is not None:
            newest = context.embeddings[:, -1, None, None].expand(-1, num_samples, -1, -1)
            before = torch.cat([newest, states[:, :, :-1]], dim=2).flatten(0, 1)
            steps = Transition(*(values.flatten(0, 1) for values in (before, encoded, foreseen)))
            foreseen = self.latent.imagine(steps, None if latents is None else latents.flatten(0, 2))
        return foreseen.view(states.shape)

    @_in_its_own_precision
    def explain(self, context: LatentContext, actions: Tensor, observed: Tensor, seen: Tensor) -> Explanation:
        """Returns which of the plausible futures of an action explains best what came, and its energy.

        Where there is one future, the energy is its mean squared error.

        Args:
            context: Of at least `least_context` frames, or of one with a state.
            actions: `[batch, action_dim]`, in the units of the recorded actions.
            observed: `[batch, embed_dim]`, what came.
            seen: `[batch, embed_dim]` bool, the dimensions of which it is known.

        Raises:
            ValueError: The context has too few frames, or the actions another size.
        """
        encoded = self.action_encoder(actions[:, None])[:, 0]
        _, foreseen = self.dynamics.predict(self._state(context, actions), encoded)
        if self.latent is None:
            return Explanation(foreseen, squared_error(foreseen, observed, seen))
        return self.latent.explain(Transition(context.embeddings[:, -1], encoded, foreseen), observed, seen)

    def _imagine(
        self, context: LatentContext, actions: Tensor, complete: Callable[[int, Transition], Tensor]
    ) -> Tensor:
        """Returns what comes after a context, `[batch, num_samples, horizon, embed_dim]`.

        Args:
            context: Of at least `least_context` frames, or of one with a state.
            actions: `[batch, num_samples, horizon, action_dim]`.
            complete: Makes an embedding, `[rows, embed_dim]`, of what the dynamics foresee of a step, where there are
                several futures; the dynamics follow it.
        """
        state, newest = self._state(context, actions), context.embeddings[:, -1]
        batch, num_samples, horizon, action_dim = actions.shape
        if num_samples > 1:
            state = tuple(part.repeat_interleave(num_samples, dim=0) for part in state)
            newest = newest.repeat_interleave(num_samples, dim=0)
        encoded = self.action_encoder(actions.reshape(batch * num_samples, horizon, action_dim))
        predictions = []
        for step, action in enumerate(encoded.unbind(dim=1)):
            foretold, prediction = self.dynamics.predict(state, action)
            if self.latent is not None:
                prediction = newest = complete(step, Transition(newest, action, prediction))
            state = self.dynamics.take_in(foretold, prediction)
            predictions.append(prediction)
        return torch.stack(predictions, dim=1).view(batch, num_samples, horizon, self.embed_dim)

    def _check_latents(self, actions: Tensor, latents: Tensor | None) -> None:
        if latents is not None and latents.shape != (*actions.shape[:3], self.latent_dim):
            raise ValueError(f"latents must have shape {[*actions.shape[:3], self.latent_dim]}, got {[*latents.shape]}")

    def _state(self, context: LatentContext, actions: Tensor) -> State:
        """Returns what the dynamics know of the past, before actions `[..., action_dim]`."""
        num_frames = context.embeddings.shape[1]
        short = context.state is None and num_frames < self.least_context
        if short or actions.shape[-1] != self.action_dim:
            raise ValueError(
                f"imagination needs a context of at least {self.least_context} frames and actions of "
                f"{self.action_dim} numbers, got {num_frames} and {actions.shape[-1]}"
            )
        if context.state is not None:
            return context.state
        return self.dynamics.begin(context.embeddings, self.action_encoder(context.actions))

    def normalizer(self, sensor: str) -> nn.Module:
        """Returns what makes the readings of a sensor the numbers that its encoder takes."""
        return self.normalizers[self._first_of_kind.get(sensor, sensor)]

    def encoder(self, sensor: str) -> nn.Module:
        """Returns what embeds the normalised readings of a sensor."""
        return self.encoders[self._first_of_kind.get(sensor, sensor)]

    def _embed(self, sensor: str, readings: Tensor) -> Tensor:
        embedding: Tensor = self.encoder(sensor)(self.normalizer(sensor)(readings))
        return embedding


def _check_loaded(module: nn.Module, _: object) -> None:
    """Raises `ValueError` if a normaliser that was loaded would divide by 0, or turn a reading around."""
    for name, part in module.named_modules():
        if isinstance(part, Normalizer) and not bool((part.std > 0).all()):
            raise ValueError(
                f"the standard deviations in '{name}.std' must be above 0, the least is {part.std.min():g}"
            )


def _check_embed_dims(embed_dims: Mapping[str, int], sensors: Mapping[str, tuple[int, ...]]) -> None:
    if not embed_dims:
        raise ValueError(f"embed_dims must name at least one of the sensors {sorted(sensors)}, got none")
    for name, size in embed_dims.items():
        if name not in sensors:
            raise ValueError(f"embed_dims must name sensors among {sorted(sensors)}, got '{name}'")
        if size < 1:
            raise ValueError(f"the block of '{name}' must have at least 1 dimension, got {size}")


def _beginning(name: str, block: slice, size: int) -> slice:
    """Returns the first numbers of a camera's block."""
    most = block.stop - block.start
    if not 1 <= size <= most:
        raise ValueError(f"goal_dim must be at least 1 and at most the {most} numbers of '{name}', got {size}")
    return slice(block.start, block.start + size)


def _check_kinds(
    kinds: Sequence[Sequence[str]], sensors: Mapping[str, tuple[int, ...]], embed_dims: Mapping[str, int]
) -> None:
    named = [name for kind in kinds for name in kind]
    for kind in kinds:
        if len(kind) < 2 or not set(kind) <= embed_dims.keys() or any(named.count(name) > 1 for name in kind):
            raise ValueError(
                f"what is compared must be groups of at least two of the sensors {sorted(embed_dims)}, each in one "
                f"group, got {list(kind)}"
            )
        for what, of in (("shape", {name: tuple(sensors[name]) for name in kind}), ("block size", embed_dims)):
            first, *others = kind
            for other in others:
                if of[other] != of[first]:
                    raise ValueError(
                        f"sensors that are compared must have one {what}, got {of[first]} of '{first}' and "
                        f"{of[other]} of '{other}'"
                    )
