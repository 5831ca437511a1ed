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
    into cost, so that one rule holds for every planner.

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


@dataclass(frozen=True)
class ActionBounds:
    """The box that every planned action lies in; its device and dtype are those of the whole plan.

    Planners keep their state in units of the box: -1 is `low`, 0 the centre, 1 is `high`.

    Attributes:
        low: `[action_dim]`, finite.
        high: `[action_dim]`, finite and above `low`.

    Raises:
        ValueError: The bounds are not two float vectors of one size, or not finite, or `low` is not below `high`.
    """

    low: Tensor
    high: Tensor

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

    @cached_property
    def center(self) -> Tensor:
        """The middle of the box, `[action_dim]`."""
        return (self.low + self.high) / 2

    @cached_property
    def half_range(self) -> Tensor:
        """Half the width of the box, `[action_dim]`."""
        return (self.high - self.low) / 2

    def clip(self, actions: Tensor) -> Tensor:
        """Projects actions `[..., action_dim]` on the box; what a planner prices or returns went through here."""
        return torch.clamp(actions, self.low, self.high)

    def from_unit(self, values: Tensor) -> Tensor:
        """Returns the actions at `values` in units of the box, inside the bounds to the last bit."""
        return self.clip(torch.addcmul(self.center, self.half_range, values))

    def to_unit(self, actions: Tensor) -> Tensor:
        """Returns where in the box `actions` lie, in units of the box."""
        return (actions - self.center) / self.half_range


@dataclass(frozen=True)
class Budget:
    """How much a planner may spend on one call.

    Attributes:
        num_evaluations: Candidate sequences for each problem of the batch, or None for what the planner's own
            parameters ask for. A planner never exceeds it.
    """

    num_evaluations: int | None = None

    def __post_init__(self) -> None:
        if self.num_evaluations is not None and not (
            isinstance(self.num_evaluations, int) and self.num_evaluations >= 1
        ):
            raise ValueError(
                f"num_evaluations must be a whole number of at least 1, or None, got {self.num_evaluations!r}"
            )

    def cap(self, num_evaluations: int) -> int:
        """Returns how many of the evaluations that a planner would like it may have."""
        return num_evaluations if self.num_evaluations is None else min(num_evaluations, self.num_evaluations)


@dataclass(frozen=True)
class Plan:
    """The outcome of one planning call.

    Attributes:
        actions: `[batch, horizon, action_dim]`, inside the bounds: `actions == bounds.clip(actions)`.
        cost: `[batch]`, what the objective says of `actions`; +inf where nothing was found.
        cost_history: `[num_iterations, batch]`, the best cost so far after each iteration; it never rises.
        num_evaluations: Spent on each problem.
    """

    actions: Tensor
    cost: Tensor
    cost_history: Tensor
    num_evaluations: int

    @property
    def found(self) -> Tensor:
        """`[batch]` bool, False where no candidate had a finite cost: `actions` are then where the planner started."""
        return torch.isfinite(self.cost)


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


def evaluate(objective: Objective, actions: Tensor) -> Score:
    """Prices candidates; the one gate through which every cost enters a planner. Gradients pass.

    Args:
        objective: Prices candidates.
        actions: `[batch, num_samples, horizon, action_dim]`.

    Returns:
        The score, with +inf for every cost or violation that is not finite: a NaN candidate never wins.

    Raises:
        ValueError: A cost or violation of the wrong shape.
    """
    score = objective(actions)
    expected = actions.shape[:2]
    if score.cost.shape != expected:
        raise ValueError(
            f"an objective must return cost [batch, num_samples] = {[*expected]}, got {[*score.cost.shape]}"
        )
    if score.violations.ndim != 3 or score.violations.shape[:2] != expected:
        raise ValueError(
            f"an objective must return violations [batch, num_samples, num_constraints] = "
            f"{[*expected, 'num_constraints']}, got {[*score.violations.shape]}"
        )
    return Score(cost=_not_finite_to_inf(score.cost), violations=_not_finite_to_inf(score.violations))


def _not_finite_to_inf(values: Tensor) -> Tensor:
    if values.numel() == 0:
        return values
    return torch.nan_to_num(values, nan=math.inf, posinf=math.inf, neginf=math.inf)
