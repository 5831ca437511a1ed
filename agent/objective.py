"""The function of actions that a planner minimises: world model, cost, context and goal in one."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from agent.cost.types import CostModule
from planners.types import Score
from world_model.types import LatentContext, LatentGoal, LatentTrajectory


@dataclass(frozen=True)
class ImaginedCost:
    """Imagines where candidate actions lead and prices it.

    Attributes:
        rollout: Imagines trajectories, as `WorldModel.rollout`.
        cost: Prices them.
        context: Where imagination starts.
        goal: Where it should lead.
        action_repeat: Control steps for which a planned action is held; the model's action is their concatenation.
    """

    rollout: Callable[[LatentContext, Tensor], LatentTrajectory]
    cost: CostModule
    context: LatentContext
    goal: LatentGoal
    action_repeat: int

    def __call__(self, actions: Tensor) -> Score:
        """Prices `actions`, `[batch, num_samples, horizon, action_dim]`; no constraints yet."""
        trajectory = self.rollout(self.context, actions.repeat(1, 1, 1, self.action_repeat))
        cost = self.cost(trajectory, self.goal)
        return Score(cost=cost, violations=cost.new_zeros(*cost.shape, 0))
