"""What a trajectory optimiser sees of the world: a function of actions, and bounds. Read this first.

Dimension words: `batch` independent problems, `num_samples` candidate action sequences, `horizon` planned steps,
`action_dim`. One *evaluation* is one candidate sequence priced once; with its gradient it counts as three.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Score:
    """What an objective says of candidate action sequences.

    A planner minimises the cost alone. Constraints bind through a wrapper around the objective that turns violations
    into cost, so that one rule holds for every planner. Both may be of any real type, bool and whole numbers included:
    planners reckon in that of the actions.

    Attributes:
        cost: `[batch, num_samples]`, minimised.
        violations: `[batch, num_samples, num_constraints]`, a constraint holds where its entry is <= 0.
    """

    cost: Tensor
    violations: Tensor


Objective = Callable[[Tensor], Score]
"""Prices candidates: `[batch, num_samples, horizon, action_dim]` to a `Score`.

Each candidate is priced on its own, whatever else is in the batch. Any `num_samples` and any `horizon` may be asked
for, as when a search prices the beginnings of sequences. The cost is differentiable in the actions wherever the model
is; a planner that needs no gradient turns gradients off itself.
"""


@runtime_checkable
class TrajectoryObjective(Protocol):
    """An objective that shows the states which actions lead to, as collocation needs it.

    A state is whatever the dynamics carry from step to step; `states[:, :, t]` is what `actions[:, :, t]` leads to.
    Two promises: `objective(actions)` is `objective.price(objective.rollout(actions), actions)`, and states are the
    rollout of actions exactly where `objective.predict(states, actions) == states`.
    """

    def __call__(self, actions: Tensor) -> Score:
        """Prices candidates; see `Objective`."""
        ...

    def rollout(self, actions: Tensor) -> Tensor:
        """Returns the states that the actions lead to, `[batch, num_samples, horizon, state_dim]`."""
        ...

    def predict(self, states: Tensor, actions: Tensor) -> Tensor:
        """Returns where each step leads from the state given before it, all steps at once.

        Args:
            states: `[batch, num_samples, horizon, state_dim]`, any; the last of them leads nowhere.
            actions: `[batch, num_samples, horizon, action_dim]`.

        Returns:
            `[batch, num_samples, horizon, state_dim]`: at `t`, where that action leads from the state at
            `t - 1`, and at 0 from where the problem starts. Differentiable in both.
        """
        ...

    def price(self, states: Tensor, actions: Tensor) -> Score:
        """Prices states and actions as if the states were real; differentiable in both."""
        ...


@dataclass(frozen=True)
class ActionBounds:
    """What a planned action may be; its device and dtype are those of the whole plan.

    A box, and within it two things that not every problem has: a limit on how much an action may differ from the one
    before, or a list of the only actions that there are. What a planner prices or returns is allowed to the last bit,
    `actions == bounds.clip(actions)`.

    Planners keep their state in units of the box: -1 is `low`, 0 the centre, 1 is `high`.

    Attributes:
        low: `[action_dim]`, finite.
        high: `[action_dim]`, finite and above `low`.
        max_change: `[action_dim]`, above 0: most that an action may differ from the one before; None for any.
        previous_action: `[batch, action_dim]`, executed before the first planned one; exactly where there is a
            `max_change`.
        choices: `[num_choices, action_dim]`, inside the box: the only actions that there are; None for all of the box.

    Raises:
        ValueError: The bounds are not two float vectors of one size, or not finite, or `low` is not below `high`, or
            the limit or the choices do not fit them.
    """

    low: Tensor
    high: Tensor
    max_change: Tensor | None = None
    previous_action: Tensor | None = None
    choices: Tensor | None = None

    def __post_init__(self) -> None:
        if self.low.ndim != 1 or self.low.shape != self.high.shape:
            raise ValueError(
                f"bounds must be two vectors [action_dim], got {[*self.low.shape]} and {[*self.high.shape]}"
            )
        if not self.low.is_floating_point() or self.low.dtype != self.high.dtype:
            raise ValueError(f"bounds must share one floating-point type, got {self.low.dtype} and {self.high.dtype}")
        if not bool(torch.isfinite(self.low).all() and torch.isfinite(self.high).all()):
            raise ValueError(f"bounds must be finite, got low={self.low.tolist()}, high={self.high.tolist()}")
        if not bool((self.low < self.high).all()):
            raise ValueError(f"low must be below high, got low={self.low.tolist()}, high={self.high.tolist()}")
        self._check_max_change()
        self._check_choices()

    @cached_property
    def center(self) -> Tensor:
        """The middle of the box, `[action_dim]`."""
        return (self.low + self.high) / 2

    @cached_property
    def half_range(self) -> Tensor:
        """Half the width of the box, `[action_dim]`."""
        return (self.high - self.low) / 2

    def clip(self, actions: Tensor) -> Tensor:
        """Returns sequences `[batch, ..., horizon, action_dim]` as they are allowed, the same where they are.

        Each action becomes the nearest that may follow the one before it. With a `max_change` the whole sequence is
        therefore not the nearest: no early action gives way to a late one. It is quick, and serves what is sampled;
        a descent moves in `planners.reach` instead.
        """
        if self.choices is not None:
            choices = self.choices.expand(*actions.shape[:-2], -1, -1)
            distances = torch.cdist(actions, choices, compute_mode="donot_use_mm_for_euclid_dist")  # exact
            return self.choices[distances.argmin(dim=-1)]
        boxed = torch.clamp(actions, self.low, self.high)
        if self.max_change is None or self.previous_action is None:
            return boxed
        previous = self.previous_action.view(-1, *[1] * (actions.ndim - 3), self.low.shape[0])
        limited = []
        for action in boxed.unbind(dim=-2):
            # between two actions of the box, so inside it
            previous = torch.clamp(action, previous - self.max_change, previous + self.max_change)
            limited.append(previous)
        return torch.stack(limited, dim=-2)

    def from_unit(self, values: Tensor) -> Tensor:
        """Returns the sequences at `values` in units of the box, inside the bounds to the last bit."""
        return self.clip(torch.addcmul(self.center, self.half_range, values))

    def to_unit(self, actions: Tensor) -> Tensor:
        """Returns where in the box `actions` lie, in units of the box."""
        return (actions - self.center) / self.half_range

    def grid(self, num_levels: int) -> Tensor:
        """Returns the choices, or else a grid of the box, `num_levels` a dimension: `[num_choices, action_dim]`."""
        if self.choices is not None:
            return self.choices
        levels = torch.linspace(-1.0, 1.0, num_levels, dtype=self.low.dtype, device=self.low.device)
        units = torch.cartesian_prod(*[levels] * len(self.low)).view(-1, len(self.low))
        return torch.clamp(torch.addcmul(self.center, self.half_range, units), self.low, self.high)

    def require_continuous(self, planner: str) -> None:
        """Raises `ValueError` where the actions are a list of choices, which the named planner cannot plan."""
        if self.choices is not None:
            raise ValueError(
                f"{planner} plans continuous actions, and there are only {len(self.choices)} discrete ones: "
                "take categorical_cem or beam_search"
            )

    def _check_max_change(self) -> None:
        if (self.max_change is None) != (self.previous_action is None):
            raise ValueError("max_change and previous_action must be given together, got one of them")
        if self.max_change is None or self.previous_action is None:
            return
        if self.max_change.shape != self.low.shape or not bool((self.max_change > 0).all()):
            raise ValueError(
                f"max_change must be [action_dim] = {[*self.low.shape]} and above 0, got {self.max_change.tolist()}"
            )
        previous = self.previous_action
        if (
            previous.ndim != 2
            or previous.shape[1:] != self.low.shape
            or not bool((previous == previous.clamp(self.low, self.high)).all())
        ):
            raise ValueError(f"previous_action must be [batch, action_dim] inside the bounds, got {previous.tolist()}")
        if self.choices is not None:
            raise ValueError("discrete actions must have no max_change, got both max_change and choices")

    def _check_choices(self) -> None:
        if self.choices is None:
            return
        if self.choices.ndim != 2 or self.choices.shape[1:] != self.low.shape or len(self.choices) < 1:
            raise ValueError(
                f"choices must be [num_choices, action_dim] = ['num_choices', {len(self.low)}], "
                f"got {[*self.choices.shape]}"
            )
        if not bool((self.choices == self.choices.clamp(self.low, self.high)).all()):
            raise ValueError(f"choices must lie inside the bounds, got {self.choices.tolist()}")


def is_whole(value: object) -> bool:
    """Returns whether a parameter is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


@dataclass(frozen=True)
class Budget:
    """How much evaluation, time and memory a planner may spend on one call.

    Attributes:
        num_evaluations: Candidate sequences for each problem of the batch, or None for what the planner's own
            parameters ask for. A planner never exceeds it.
        milliseconds: Wall-clock time, or None for any. A search prices its first candidates and then begins no
            iteration that would probably end later; what it finds depends on the machine and cannot be reproduced.
        chunk_size: Candidates of each problem that are priced at once, or None for all: it bounds memory, and
            changes costs in their last bits at most, as a matrix product of another size does.
    """

    num_evaluations: int | None = None
    milliseconds: float | None = None
    chunk_size: int | None = None

    def __post_init__(self) -> None:
        for name in ("num_evaluations", "chunk_size"):
            value = getattr(self, name)
            if value is not None and not (is_whole(value) and value >= 1):
                raise ValueError(f"{name} must be a whole number of at least 1, or null, got {value!r}")
        time = self.milliseconds
        if time is not None and (
            not isinstance(time, int | float) or isinstance(time, bool) or not 0 < time < math.inf
        ):
            raise ValueError(f"milliseconds must be above 0 and finite, or null, got {time!r}")


@dataclass(frozen=True)
class Plan:
    """The outcome of one planning call.

    Attributes:
        actions: `[batch, horizon, action_dim]`, inside the bounds: `actions == bounds.clip(actions)`.
        cost: `[batch]`, what the objective says of `actions`; +inf where nothing was found.
        cost_history: `[num_iterations, batch]`, the best cost so far after each iteration; it never rises.
        elites: `[batch, num_elites, horizon, action_dim]`, inside the bounds: the good candidates that the search came
            down to, at least one.
        num_evaluations: Spent on each problem.
    """

    actions: Tensor
    cost: Tensor
    cost_history: Tensor
    elites: Tensor
    num_evaluations: int

    @property
    def found(self) -> Tensor:
        """`[batch]` bool, False where no candidate had a finite cost: `actions` are then where the planner started."""
        return self.cost < math.inf

    @property
    def elite_spread(self) -> Tensor:
        """`[batch]`, the std of the elites, mean over steps and dimensions: how undecided the search still was.

        It is 0 where there is a single elite, as where the budget held a single candidate.
        """
        return self.elites.std(dim=1, correction=0).mean(dim=(1, 2))


State = TypeVar("State")


@runtime_checkable
class Planner(Protocol[State]):
    """A trajectory optimiser without memory: its state goes in and comes out.

    A planner knows no model, no cost and no environment. Noise comes in from outside, so that `plan` is a pure function
    and problem `b` of a batch depends on generator `b` alone.
    """

    def init(self, bounds: ActionBounds, *, batch_size: int, horizon: int) -> State:
        """Returns the state of a planner that has seen nothing."""
        ...

    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Draws all the noise of one `plan` call, one generator a problem; the caller owns the generators.

        Its first dimension is `len(generators)`; the rest is the planner's own affair.
        """
        ...

    def plan(
        self,
        objective: Objective,
        state: State,
        *,
        noise: Tensor,
        bounds: ActionBounds,
        budget: Budget,
        proposals: Sequence[Tensor] = (),
    ) -> tuple[Plan, State]:
        """Minimises the objective from where `state` stands.

        Args:
            objective: Prices candidates.
            state: From `init`, `shift`, `resize` or the last `plan`.
            noise: From `sample_noise`.
            bounds: The box of the actions.
            budget: What may be spent.
            proposals: Sequences from elsewhere, each `[batch, horizon, action_dim]`: clipped to the bounds, they are
                among the first candidates, and one of them is the plan when it is best.

        Returns:
            The plan, and the state for the next call.

        Raises:
            ValueError: The noise, a proposal or what the objective returns has the wrong shape.
        """
        ...

    def shift(self, state: State, num_steps: int) -> State:
        """Moves the state on by executed steps, so that the next call starts warm.

        The steps that enter at the end are those of `init`: a state shifted by its whole horizon has forgotten all.
        """
        ...

    def resize(self, state: State, horizon: int) -> State:
        """Cuts the state to another horizon, or extends it by the steps of `init`."""
        ...
