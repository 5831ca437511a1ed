"""Sampling planners that remember the last plan alone: what they share."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from planners.plan_state import FromLastPlan, PlanState
from planners.search import Strategy, search
from planners.types import ActionBounds, Budget, Objective, Plan
from planners.undisturbed import undisturbed


@dataclass(frozen=True, kw_only=True)
class Shooting(FromLastPlan, ABC):
    """A search whose first candidates are the proposals and the last plan.

    Attributes:
        num_samples: Candidates an iteration, proposals and last plan included.
        num_iterations: Iterations a call.

    Raises:
        ValueError: A parameter is out of its range.
    """

    num_samples: int
    num_iterations: int

    def __post_init__(self) -> None:
        for name in ("num_samples", "num_iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

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
            self._begin(last_plan, bounds),
            objective,
            noise=noise,
            bounds=bounds,
            budget=budget,
            proposals=proposals,
            last_plan=last_plan,
            populations=[self.num_samples] * self.num_iterations,
        )
        return plan, PlanState(plan=bounds.to_unit(plan.actions))

    @abstractmethod
    def _begin(self, last_plan: Tensor, bounds: ActionBounds) -> Strategy:
        """Returns the strategy of one call, from the last plan, `[batch, horizon, action_dim]`."""
