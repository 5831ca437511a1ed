"""What a planner remembers from call to call when that is the last plan alone."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from planners.types import ActionBounds
from planners.warm_start import resize_steps, shift_steps


@dataclass(frozen=True)
class PlanState:
    """Where the search stands, in units of the box.

    Attributes:
        plan: `[batch, horizon, action_dim]`, the last plan, which the next call prices first.
    """

    plan: Tensor

    @staticmethod
    def init(bounds: ActionBounds, *, batch_size: int, horizon: int) -> "PlanState":
        """Returns a plan that stays at the centre of the box.

        Raises:
            ValueError: A batch or horizon below 1.
        """
        if batch_size < 1 or horizon < 1:
            raise ValueError(f"batch_size and horizon must be at least 1, got {batch_size} and {horizon}")
        return PlanState(plan=bounds.low.new_zeros(batch_size, horizon, *bounds.low.shape))

    def shift(self, num_steps: int) -> "PlanState":
        """Moves the plan on; the new steps at the end are those of `init`."""
        return PlanState(plan=shift_steps(self.plan, num_steps, fill=0.0))

    def resize(self, horizon: int) -> "PlanState":
        """Cuts the plan, or extends it by steps of `init`."""
        return PlanState(plan=resize_steps(self.plan, horizon, fill=0.0))


class FromLastPlan:
    """What planners share that remember the last plan alone."""

    takes_choices: ClassVar[bool] = False
    """Whether they plan where there are only a few actions."""

    def init(self, bounds: ActionBounds, *, batch_size: int, horizon: int) -> PlanState:
        """Returns a plan that stays at the centre of the box."""
        if not self.takes_choices:
            bounds.require_continuous(type(self).__name__)
        return PlanState.init(bounds, batch_size=batch_size, horizon=horizon)

    def shift(self, state: PlanState, num_steps: int) -> PlanState:
        """Moves the plan on; the new steps at the end are those of `init`."""
        return state.shift(num_steps)

    def resize(self, state: PlanState, horizon: int) -> PlanState:
        """Cuts the plan, or extends it by steps of `init`."""
        return state.resize(horizon)
