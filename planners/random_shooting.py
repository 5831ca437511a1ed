"""Random shooting: the best of many random sequences, the floor that every other planner must beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from planners.candidates import admit, best_plan, cheapest
from planners.evaluator import Evaluator
from planners.noise import check_noise, temporal_noise
from planners.plan_state import PlanState
from planners.types import ActionBounds, Budget, Objective, Plan
from planners.undisturbed import undisturbed


@dataclass(frozen=True, kw_only=True)
class RandomShooting:
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

    def init(self, bounds: ActionBounds, *, batch_size: int, horizon: int) -> PlanState:
        """Returns a plan that stays at the centre of the box."""
        return PlanState.init(bounds, batch_size=batch_size, horizon=horizon)

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
        bounds.require_continuous("RandomShooting")
        state.check(noise, proposals, num_iterations=self.num_iterations, num_samples=self.num_samples)
        batch_size, horizon, _ = state.plan.shape
        evaluator = Evaluator(objective, budget)
        last_plan = bounds.from_unit(state.plan)
        given = torch.stack(
            [*admit(proposals, bounds=bounds, batch_size=batch_size, horizon=horizon), last_plan], dim=1
        )
        finalists = []

        for uniform in noise.unbind(1):
            if not (size := evaluator.grant(self.num_samples)):
                break
            sampled = bounds.from_unit(uniform[:, : max(size - given.shape[1], 0)])
            candidates = torch.cat([given[:, :size], sampled], dim=1)
            best, cost = cheapest(candidates, evaluator.price(candidates).cost)
            finalists.append((best[:, None], cost[:, None]))
            given = given[:, :0]

        elites = torch.cat([best for best, _ in finalists], dim=1)
        plan = best_plan(finalists, elites=elites, fallback=last_plan, num_evaluations=evaluator.num_evaluations)
        return plan, PlanState(plan=bounds.to_unit(plan.actions))

    def shift(self, state: PlanState, num_steps: int) -> PlanState:
        """Moves the plan on; the new steps at the end are those of `init`."""
        return state.shift(num_steps)

    def resize(self, state: PlanState, horizon: int) -> PlanState:
        """Cuts the plan, or extends it by steps of `init`."""
        return state.resize(horizon)
