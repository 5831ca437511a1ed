"""The function of actions that a planner minimises: world model, cost, context and goal in one."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from agent.cost.types import CostModule
from planners.types import Score
from world_model.types import LatentContext, LatentGoal, LatentTrajectory


@dataclass(frozen=True)
class ImaginedCost:
    """Imagines where candidate actions lead and prices it: a `TrajectoryObjective` whose states are embeddings.

    Attributes:
        imagine: Imagines trajectories, as `WorldModel.rollout`.
        cost: Prices them, and says which limits they exceed.
        context: Where imagination starts.
        goal: Where it should lead.
        action_repeat: Control steps for which a planned action is held; the model's action is their concatenation.
    """

    imagine: Callable[[LatentContext, Tensor], LatentTrajectory]
    cost: CostModule
    context: LatentContext
    goal: LatentGoal
    action_repeat: int

    def __call__(self, actions: Tensor) -> Score:
        """Prices `actions`, `[batch, num_samples, horizon, action_dim]`."""
        return self.price(self.rollout(actions), actions)

    def rollout(self, actions: Tensor) -> Tensor:
        """Returns the embeddings that the actions lead to, `[batch, num_samples, horizon, embed_dim]`."""
        return self.imagine(self.context, self._model_actions(actions)).embeddings

    def predict(self, states: Tensor, actions: Tensor) -> Tensor:
        """Returns where each step leads from the embeddings given before it, all steps at once.

        A step sees as many frames and actions as the context holds: those before the first step are the context's.
        """
        model_actions = self._model_actions(actions)
        frames = _windows(self.context.embeddings, states[:, :, :-1])
        past = _windows(self.context.actions, model_actions[:, :, :-1])
        trajectory = self.imagine(
            LatentContext(embeddings=frames, actions=past), model_actions.flatten(0, 2)[:, None, None]
        )
        return trajectory.embeddings.view(states.shape)

    def price(self, states: Tensor, actions: Tensor) -> Score:
        """Prices embeddings and actions as if the actions led there."""
        trajectory = LatentTrajectory(
            embeddings=states,
            actions=self._model_actions(actions),
            previous_action=self.context.actions[:, -1],
            start=self.context.embeddings[:, -1],
        )
        return Score(cost=self.cost(trajectory, self.goal), violations=self.cost.violations(trajectory, self.goal))

    def _model_actions(self, actions: Tensor) -> Tensor:
        return actions.repeat(1, 1, 1, self.action_repeat)


def _windows(context: Tensor, steps: Tensor) -> Tensor:
    """Returns what each step sees of the past, one row a step.

    Args:
        context: `[batch, context, size]`, before the first step.
        steps: `[batch, num_samples, horizon - 1, size]`, before each of the others.

    Returns:
        `[batch * num_samples * horizon, context, size]`, the newest last.
    """
    before = context[:, None].expand(-1, steps.shape[1], -1, -1)
    windows = torch.cat([before, steps], dim=2).unfold(2, context.shape[1], 1)
    return windows.flatten(0, 2).transpose(1, 2)
