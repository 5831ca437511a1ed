"""What the world model takes and gives. Read this first.

Time: `actions[t]` is executed after `observations[t]` and leads to `observations[t + 1]`. A step here is a *model step*
of `action_repeat` control steps; its action is the concatenation of their control actions.

This alignment holds for recorded windows, for contexts and for what is imagined.

Dimension words: `batch` independent problems; `time` recorded steps; `context` steps that the dynamics begin with;
`horizon` imagined steps; `num_samples` candidates; `embed_dim`, `action_dim`.

An embedding is a concatenation of *blocks*, one a sensor, with one dynamics over all of them: a partial goal is a
choice of blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Observation = Mapping[str, Tensor]
"""Sensor name to what it read, `[batch, time, *sensor_shape]`, in the sensor's own units (a camera: 0 to 255)."""


def is_image(shape: Sequence[int]) -> bool:
    """Returns whether a sensor of that shape is a camera: `(height, width, 3)`."""
    return len(shape) == 3 and shape[2] == 3


@dataclass(frozen=True)
class Windows:
    """Stretches of episodes, in model steps.

    Attributes:
        observation: Sensor name to its readings, `[batch, time, *shape]`.
        actions: `[batch, time - 1, action_dim]`; `actions[:, t]` is executed after frame t and leads to frame t + 1.
    """

    observation: Mapping[str, Tensor]
    actions: Tensor

    def to(self, device: torch.device) -> "Windows":
        """Returns the windows on a device."""
        readings = {name: tensor.to(device) for name, tensor in self.observation.items()}
        return Windows(observation=readings, actions=self.actions.to(device))

    def split(self, batch_size: int) -> list["Windows"]:
        """Returns the windows in batches; the last may be smaller."""
        readings = {name: torch.split(tensor, batch_size) for name, tensor in self.observation.items()}
        return [
            Windows(observation={name: parts[index] for name, parts in readings.items()}, actions=actions)
            for index, actions in enumerate(torch.split(self.actions, batch_size))
        ]


@dataclass(frozen=True)
class Goal:
    """A goal observation that may be partial: what the asked sensors should read, and nothing about the others.

    Attributes:
        observation: Sensor name to the wished reading, `[batch, *sensor_shape]`, in the sensor's own units.
        asked: Sensor name to `[batch]` bool, True where that problem asks for that sensor; same keys as `observation`.
            A sensor that is not a key is asked of no problem.
    """

    observation: Mapping[str, Tensor]
    asked: Mapping[str, Tensor]


@dataclass(frozen=True)
class LatentGoal:
    """A goal in embedding space.

    Attributes:
        embedding: `[batch, embed_dim]`, 0 where the mask is False.
        mask: `[batch, embed_dim]` bool, True for the dimensions that are asked for; see `WorldModel.goal_parts`.
    """

    embedding: Tensor
    mask: Tensor


@dataclass(frozen=True)
class LatentContext:
    """The past that imagination begins with.

    Attributes:
        embeddings: `[batch, context, embed_dim]`, the newest last; with a `state` the newest alone.
        actions: `[batch, context - 1, action_dim]`, those between them: `actions[:, t]` is executed after
            `embeddings[:, t]` and leads to `embeddings[:, t + 1]`; the still action where nothing was executed
            yet.
        previous_action: `[batch, action_dim]`, what led to the newest embedding, whether or not the embedding before it
            is in the context; the still action at the start of an episode. Costs of imagined actions begin with it.
        state: What the dynamics know of the past, the newest embedding included, rows first: it is made by
            `WorldModel.follow`, and holds what was seen long ago too. None where they begin with the embeddings.
    """

    embeddings: Tensor
    actions: Tensor
    previous_action: Tensor
    state: tuple[Tensor, ...] | None = None

    @classmethod
    def at_rest(cls, embedding: Tensor, *, context_length: int, still: Tensor) -> "LatentContext":
        """Returns the context of an episode that begins at `embedding`, `[batch, embed_dim]`.

        Args:
            embedding: Where.
            context_length: Frames.
            still: `[action_dim]`, the action of a model step in which the robot stays still.
        """
        return cls(
            embeddings=embedding[:, None].repeat(1, context_length, 1),
            actions=still.expand(len(embedding), context_length - 1, -1),
            previous_action=still.expand(len(embedding), -1),
        )


@dataclass(frozen=True)
class LatentTrajectory:
    """Imagined futures.

    Attributes:
        embeddings: `[batch, num_samples, horizon, embed_dim]`, what comes after `start`: `actions[:, :, t]` is executed
            after `embeddings[:, :, t - 1]`, the first one after `start`, and leads to `embeddings[:, :, t]`.
        actions: `[batch, num_samples, horizon, action_dim]`.
        previous_action: `[batch, action_dim]`, what led to `start`.
        start: `[batch, embed_dim]`, the newest embedding of the context.
    """

    embeddings: Tensor
    actions: Tensor
    previous_action: Tensor
    start: Tensor


@dataclass(frozen=True)
class Explanation:
    """The future that explains best what came.

    Attributes:
        embedding: `[batch, embed_dim]`, that future.
        energy: `[batch]`, F(x, y) = min over z of E(x, y, z) + weight R(z) (LeCun 2022, section 4.3). E is the mean
            squared error over what was seen; R(z), by how many nats z is less probable than the most probable one.
    """

    embedding: Tensor
    energy: Tensor


class WorldModel(Protocol):
    """Perception and imagination, as the agent sees them."""

    @property
    def embed_dim(self) -> int:
        """The size of an embedding, all blocks together."""
        ...

    @property
    def least_context(self) -> int:
        """The fewest frames that imagination can begin with, as at the start of an episode."""
        ...

    @property
    def latent_dim(self) -> int:
        """How many quantiles tell which future a step has; 0 where there is one."""
        ...

    @property
    def blocks(self) -> Mapping[str, slice]:
        """Sensor name to its place in the embedding."""
        ...

    @property
    def goal_parts(self) -> Mapping[str, slice]:
        """Sensor name to what a goal for it asks for of an embedding: its block, or a part of it."""
        ...

    def encode(self, observation: Observation) -> Tensor:
        """Embeds each frame on its own: `[batch, time, embed_dim]`."""
        ...

    def encode_goal(self, goal: Goal) -> LatentGoal:
        """Embeds what a goal asks for."""
        ...

    def follow(self, context: LatentContext, action: Tensor, embedding: Tensor) -> LatentContext:
        """Returns the context one model step later.

        Args:
            context: Before.
            action: `[batch, action_dim]`, what was done.
            embedding: `[batch, embed_dim]`, what was perceived after it.
        """
        ...

    def rollout(self, context: LatentContext, actions: Tensor, latents: Tensor | None = None) -> LatentTrajectory:
        """Imagines where candidate actions lead, differentiably in the actions.

        Args:
            context: Of at least `least_context` frames, or of one with a state.
            actions: `[batch, num_samples, horizon, action_dim]`.
            latents: `[batch, num_samples, horizon, latent_dim]`, quantiles in 0..1 that tell which future each step
                has, or None for the most probable ones.
        """
        ...

    def foresee(self, context: LatentContext, states: Tensor, actions: Tensor, latents: Tensor | None = None) -> Tensor:
        """Returns where each action leads from the embeddings given before it, all at once.

        `foresee(context, rollout(context, actions).embeddings, actions)` are the embeddings of that rollout.

        Args:
            context: Of at least `least_context` frames, or of one with a state.
            states: `[batch, num_samples, horizon, embed_dim]`, behind each action; what stands behind the last one
                changes nothing.
            actions: `[batch, num_samples, horizon, action_dim]`.
            latents: `[batch, num_samples, horizon, latent_dim]`, or None for the most probable ones.

        Returns:
            `[batch, num_samples, horizon, embed_dim]`.
        """
        ...

    def explain(self, context: LatentContext, actions: Tensor, observed: Tensor, seen: Tensor) -> Explanation:
        """Returns which of the plausible futures of an action explains best what came, and its energy.

        Args:
            context: Of at least `least_context` frames, or of one with a state.
            actions: `[batch, action_dim]`.
            observed: `[batch, embed_dim]`, what came.
            seen: `[batch, embed_dim]` bool, the dimensions of which it is known.
        """
        ...
