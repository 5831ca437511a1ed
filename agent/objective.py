"""The function of actions that a planner minimises: world model, cost, context and goal in one."""

from dataclasses import dataclass

from torch import Tensor

from agent.cost.types import CostModule
from agent.futures import DrawnFutures
from planners.types import Score
from world_model.types import LatentContext, LatentGoal, LatentTrajectory, WorldModel


@dataclass(frozen=True)
class ImaginedCost:
    """Imagines where candidate actions lead and prices it: a `TrajectoryObjective` whose states are embeddings.

    Under several futures a state is the embeddings of all of them, side by side: `state_dim` is
    `num_futures * embed_dim`.

    Attributes:
        world_model: Imagines trajectories.
        cost: Prices them, and says which limits they exceed.
        context: Where imagination starts.
        goal: Where it should lead.
        action_repeat: Control steps for which a planned action is held; the model's action is their concatenation.
        futures: Under which actions are priced; None for the most probable one alone.
    """

    world_model: WorldModel
    cost: CostModule
    context: LatentContext
    goal: LatentGoal
    action_repeat: int
    futures: DrawnFutures | None = None

    def __call__(self, actions: Tensor) -> Score:
        """Prices `actions`, `[batch, num_samples, horizon, action_dim]`."""
        return self.price(self.rollout(actions), actions)

    def rollout(self, actions: Tensor) -> Tensor:
        """Returns the embeddings that the actions lead to, `[batch, num_samples, horizon, state_dim]`."""
        if self.futures is None:
            return self.world_model.rollout(self.context, self._model_actions(actions)).embeddings
        latents = _of_each_sample(self.futures, actions)
        return self._side_by_side(
            self.world_model.rollout(self.context, self._model_actions(actions), latents).embeddings
        )

    def predict(self, states: Tensor, actions: Tensor) -> Tensor:
        """Returns where each step leads from the embeddings given before it, all steps at once."""
        if self.futures is None:
            return self.world_model.foresee(self.context, states, self._model_actions(actions))
        latents = _of_each_sample(self.futures, actions)
        return self._side_by_side(
            self.world_model.foresee(self.context, self._one_by_one(states), self._model_actions(actions), latents)
        )

    def price(self, states: Tensor, actions: Tensor) -> Score:
        """Prices embeddings and actions as if the actions led there."""
        trajectory = LatentTrajectory(
            embeddings=self._one_by_one(states),
            actions=self._model_actions(actions),
            previous_action=self.context.previous_action,
            start=self.context.embeddings[:, -1],
        )
        cost, violations = self.cost(trajectory, self.goal), self.cost.violations(trajectory, self.goal)
        if self.futures is not None:
            batch, num_samples, num_futures = *actions.shape[:2], self.futures.latents.shape[1]
            cost, violations = (
                self.futures.futures.reduce(values.view(batch, num_samples, num_futures, *values.shape[2:]))
                for values in (cost, violations)
            )
        return Score(cost=cost, violations=violations)

    def _model_actions(self, actions: Tensor) -> Tensor:
        """Returns model actions, one sample for each future: those of a candidate one after the other."""
        held = actions.repeat(1, 1, 1, self.action_repeat)
        return held if self.futures is None else held.repeat_interleave(self.futures.latents.shape[1], dim=1)

    def _side_by_side(self, embeddings: Tensor) -> Tensor:
        """Returns the states of candidates whose futures are samples."""
        assert self.futures is not None
        batch, num_rows, horizon, _ = embeddings.shape
        num_futures = self.futures.latents.shape[1]
        apart = embeddings.view(batch, num_rows // num_futures, num_futures, horizon, -1)
        return apart.transpose(2, 3).flatten(3)

    def _one_by_one(self, states: Tensor) -> Tensor:
        """Returns the embeddings of states, where a candidate's futures are samples."""
        if self.futures is None:
            return states
        apart = states.view(*states.shape[:3], self.futures.latents.shape[1], -1)
        return apart.transpose(2, 3).flatten(1, 2)


def _of_each_sample(futures: DrawnFutures, actions: Tensor) -> Tensor:
    """Returns the same luck for every candidate, `[batch, num_samples * num_futures, horizon, latent_dim]`."""
    return futures.latents[:, :, : actions.shape[2]].repeat(1, actions.shape[1], 1, 1)
