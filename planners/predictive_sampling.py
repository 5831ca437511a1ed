"""Predictive sampling: disturb the spline of the last plan, and keep the best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Generator, Tensor

from planners.candidates import admit, best_plan, cheapest
from planners.evaluator import Evaluator
from planners.noise import white_noise
from planners.plan_state import PlanState
from planners.splines import ORDERS, spline_basis
from planners.types import ActionBounds, Budget, Objective, Plan
from planners.undisturbed import undisturbed


@dataclass(frozen=True, kw_only=True)
class PredictiveSampling:
    """Prices splines around the best one, with Gaussian noise of one std on their knots.

    Howell et al., "Predictive sampling: real-time behaviour synthesis with MuJoCo", 2022, algorithm 1: a candidate is
    the nominal spline with noise on its knots, clipped to the bounds, and the best candidate is the next nominal.
    Here the nominal is the spline that lies nearest, in least squares, to the best sequence so far: a shifted plan or a
    proposal need not be a spline of as many knots. It is a candidate as it is, so that nothing is lost. The proposals
    and the last plan are the first candidates of the first iteration; the elites are the best after each.

    Attributes:
        num_samples: Candidates an iteration, proposals and last plan included.
        num_iterations: Iterations a call; the paper's is one.
        num_knots: Of the spline; more knots than steps are as many as steps.
        spline_order: 0 holds a knot until the next, 1 is linear, 3 cubic; see `spline_basis`.
        std: Of the noise on the knots, in units of the box.

    Raises:
        ValueError: A parameter is out of its range.
    """

    num_samples: int
    num_iterations: int
    num_knots: int
    spline_order: int
    std: float

    def __post_init__(self) -> None:
        for name in ("num_samples", "num_iterations", "num_knots"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.spline_order not in ORDERS:
            raise ValueError(f"spline_order must be one of {ORDERS}, got {self.spline_order}")
        if not 0 < self.std < math.inf:
            raise ValueError(f"std must be above 0 and finite, got {self.std}")

    def init(self, bounds: ActionBounds, *, batch_size: int, horizon: int) -> PlanState:
        """Returns a plan that stays at the centre of the box."""
        return PlanState.init(bounds, batch_size=batch_size, horizon=horizon)

    @undisturbed
    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Draws splines through standard normal knots: `[batch, num_iterations, num_samples, horizon, action_dim]`."""
        num_knots = min(self.num_knots, horizon)
        knots = white_noise(
            generators, (self.num_iterations, self.num_samples, num_knots, *bounds.low.shape), like=bounds.low
        )
        return spline_basis(num_knots, horizon, order=self.spline_order).to(knots) @ knots

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
        bounds.require_continuous("PredictiveSampling")
        state.check(noise, proposals, num_iterations=self.num_iterations, num_samples=self.num_samples)
        batch_size, horizon, _ = state.plan.shape
        evaluator = Evaluator(objective, budget)
        nearest_spline = _projection(horizon, min(self.num_knots, horizon), self.spline_order).to(state.plan)
        last_plan = bounds.from_unit(state.plan)
        given = torch.stack(
            [*admit(proposals, bounds=bounds, batch_size=batch_size, horizon=horizon), last_plan], dim=1
        )
        best, least = last_plan[:, None], last_plan.new_full((batch_size, 1), math.inf)
        finalists = []

        for disturbance in noise.unbind(1):
            if not (size := evaluator.grant(self.num_samples)):
                break
            nominal = nearest_spline @ bounds.to_unit(best)
            disturbed = nominal + self.std * disturbance[:, : max(size - given.shape[1], 0)]
            candidates = torch.cat([given[:, :size], bounds.from_unit(disturbed)], dim=1)
            cost = evaluator.price(candidates).cost
            found, found_cost = cheapest(torch.cat([best, candidates], dim=1), torch.cat([least, cost], dim=1))
            best, least = found[:, None], found_cost[:, None]
            finalists.append((best, least))
            given = given[:, :0]

        elites = torch.cat([sequence for sequence, _ in finalists], dim=1)
        plan = best_plan(finalists, elites=elites, fallback=last_plan, num_evaluations=evaluator.num_evaluations)
        return plan, PlanState(plan=bounds.to_unit(plan.actions))

    def shift(self, state: PlanState, num_steps: int) -> PlanState:
        """Moves the plan on; the new steps at the end are those of `init`."""
        return state.shift(num_steps)

    def resize(self, state: PlanState, horizon: int) -> PlanState:
        """Cuts the plan, or extends it by steps of `init`."""
        return state.resize(horizon)


@lru_cache
def _projection(horizon: int, num_knots: int, order: int) -> Tensor:
    """Returns the matrix that takes a sequence to the nearest spline, `[horizon, horizon]`."""
    basis = spline_basis(num_knots, horizon, order=order)
    projection: Tensor = basis @ torch.linalg.pinv(basis)
    return projection
