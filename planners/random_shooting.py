"""Random shooting: the best of many random sequences, the floor that every other planner must beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from planners.candidates import cheapest
from planners.noise import check_noise, temporal_noise
from planners.plan_state import FromLastPlan, PlanState
from planners.search import search
from planners.types import ActionBounds, Budget, Objective, Plan
from planners.undisturbed import undisturbed


@dataclass(frozen=True, kw_only=True)
class RandomShooting(FromLastPlan):
    """Prices random sequences and returns the best (Rao, "A survey of numerical methods for optimal control", 2009).

    Each action alone is uniform in the box; from step to step actions may be correlated. No iteration learns from the
    one before: they are where a budget of time may end the call. The proposals and the last plan are the first
    candidates of the first; the elites are the best of each iteration.

    Attributes:
        num_samples: Candidates an iteration, proposals and last plan included.
        num_iterations: Iterations a call.
        noise_exponent: Of the noise's power spectrum, at least 0: 0 is white, 1 pink, 2 brown; see `temporal_noise`.
        num_knots: Knots of the spline that the noise is, or None for a free value at each step.

    Raises:
        ValueError: A parameter is out of its range.
    """

    num_samples: int
    num_iterations: int
    noise_exponent: float
    num_knots: int | None

    def __post_init__(self) -> None:
        for name in ("num_samples", "num_iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        check_noise(self.noise_exponent, self.num_knots)

    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Draws `[batch, num_iterations, num_samples, horizon, action_dim]`, each number uniform in [-1, 1].

        Normal noise, which may be correlated from step to step, is sent through its own distribution function.
        """
        shape = (self.num_iterations, self.num_samples, horizon, *bounds.low.shape)
        normal = temporal_noise(
            generators, shape, like=bounds.low, exponent=self.noise_exponent, num_knots=self.num_knots
        )
        uniform: Tensor = 2 * torch.special.ndtr(normal) - 1
        return uniform

    @undisturbed
    def plan(
        self,
        objective: Objective,
        state: PlanState,
        *,
        noise: Tensor,
        bounds: ActionBounds,
        budget: Budget,
        proposals: Sequence[Tensor] = (),
    ) -> tuple[Plan, PlanState]:
        """Minimises the objective from where `state` stands; see `Planner.plan`."""
        last_plan = bounds.from_unit(state.plan)
        plan = search(
            _Shots(bounds),
            objective,
            noise=noise,
            bounds=bounds,
            budget=budget,
            proposals=proposals,
            last_plan=last_plan,
            populations=[self.num_samples] * self.num_iterations,
        )
        return plan, PlanState(plan=bounds.to_unit(plan.actions))


class _Shots:
    """Sequences that nothing is learned from."""

    def __init__(self, bounds: ActionBounds) -> None:
        self._bounds = bounds
        self._best: list[Tensor] = []

    def ask(self, noise: Tensor) -> Tensor:
        return self._bounds.from_unit(noise)

    def tell(self, candidates: Tensor, cost: Tensor, *, wanted: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        best, least = cheapest(candidates, cost)
        self._best.append(best)
        return best, least

    def elites(self) -> Tensor:
        return torch.cat(self._best, dim=1)
