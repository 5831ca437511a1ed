"""The function of actions that a planner minimises: world model, cost, context and goal in one."""

from dataclasses import dataclass

from torch import Tensor

from agent.cost.types import CostModule
from planners.types import Score
from world_model.types import LatentContext, LatentGoal, LatentTrajectory, WorldModel


@dataclass(frozen=True)
class ImaginedCost:
    """Imagines where candidate actions lead and prices it: a `TrajectoryObjective` whose states are embeddings.

    Attributes:
        world_model: Imagines trajectories.
        cost: Prices them, and says which limits they exceed.
        context: Where imagination starts.
        goal: Where it should lead.
        action_repeat: Control steps for which a planned action is held; the model's action is their concatenation.
    """

    world_model: WorldModel
    cost: CostModule
    context: LatentContext
    goal: LatentGoal
    action_repeat: int

    def __call__(self, actions: Tensor) -> Score:
        """Prices `actions`, `[batch, num_samples, horizon, action_dim]`."""
        return self.price(self.rollout(actions), actions)

    def rollout(self, actions: Tensor) -> Tensor:
        """Returns the embeddings that the actions lead to, `[batch, num_samples, horizon, embed_dim]`."""
        return self.world_model.rollout(self.context, self._model_actions(actions)).embeddings

    def predict(self, states: Tensor, actions: Tensor) -> Tensor:
        """Returns where each step leads from the embeddings given before it, all steps at once."""
        return self.world_model.foresee(self.context, states, self._model_actions(actions))

    def price(self, states: Tensor, actions: Tensor) -> Score:
        """Prices embeddings and actions as if the actions led there."""
        trajectory = LatentTrajectory(
            embeddings=states,
            actions=self._model_actions(actions),
            previous_action=self.context.previous_action,
            start=self.context.embeddings[:, -1],
        )
        return Score(cost=self.cost(trajectory, self.goal), violations=self.cost.violations(trajectory, self.goal))

    def _model_actions(self, actions: Tensor) -> Tensor:
        return actions.repeat(1, 1, 1, self.action_repeat)
