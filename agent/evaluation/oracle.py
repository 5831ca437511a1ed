"""The oracle model: MuJoCo in place of the predictor, everything else ours.

It tells the failures of the model from those of the cost and the planner. It sees the simulator's truth, so it serves
evaluation and nothing else.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from envs.types import HasState
from jepa_mpc.errors import UserError
from world_model.latent.base import squared_error
from world_model.types import Explanation, Goal, LatentContext, LatentGoal, LatentTrajectory, Observation, WorldModel

_PRESENT_ALONE = "starts from the present state alone: choose a planner that samples, as planner=cem, or oracle=0"


class OracleError(UserError):
    """A planner asks the oracle model for what a simulator does not have."""


class OracleModel:
    """A world model whose predictions are true.

    Args:
        world_model: Embeds observations and goals.
        task: What is acted in: imagination starts from its present state.
        action_repeat: Control steps of a model step.
    """

    def __init__(self, *, world_model: WorldModel, task: HasState, action_repeat: int) -> None:
        self._world_model = world_model
        self._task = task
        self._simulator = task.another()
        self._action_repeat = action_repeat

    @property
    def embed_dim(self) -> int:
        """The size of an embedding."""
        return self._world_model.embed_dim

    @property
    def least_context(self) -> int:
        """The fewest frames that the replaced predictor can begin with."""
        return self._world_model.least_context

    @property
    def latent_dim(self) -> int:
        """There is one future: the true one."""
        return 0

    @property
    def goal_parts(self) -> Mapping[str, slice]:
        """Sensor name to what a goal for it asks for of an embedding."""
        return self._world_model.goal_parts

    @property
    def blocks(self) -> Mapping[str, slice]:
        """Sensor name to its place in the embedding."""
        return self._world_model.blocks

    def encode(self, observation: Observation) -> Tensor:
        """Embeds as the world model does."""
        return self._world_model.encode(observation)

    def encode_goal(self, goal: Goal) -> LatentGoal:
        """Embeds as the world model does."""
        return self._world_model.encode_goal(goal)

    def follow(self, context: LatentContext, action: Tensor, embedding: Tensor) -> LatentContext:
        """Goes on as the world model does; what its dynamics carry is of no use here."""
        return self._world_model.follow(context, action, embedding)

    def rollout(self, context: LatentContext, actions: Tensor, latents: Tensor | None = None) -> LatentTrajectory:  # noqa: ARG002
        """Simulates each candidate from the present state of the environment.

        Args:
            context: Gives the previous action; the state itself is the simulator's.
            actions: `[1, num_samples, horizon, model_action_dim]`, without gradient.
            latents: Of what is certain there are none.

        Raises:
            OracleError: A gradient is asked for, or rollouts from other states than the present one.
        """
        if actions.requires_grad or len(context.embeddings) != 1:
            raise OracleError(f"the oracle model simulates, so it has no gradients and {_PRESENT_ALONE}")
        start = self._task.save()
        candidates = actions[0].numpy().reshape(actions.shape[1], actions.shape[2], self._action_repeat, -1)
        readings: dict[str, list[Tensor]] = {name: [] for name in self.blocks}
        for candidate in candidates:
            self._simulator.restore(start)
            for model_action in candidate:
                for action in model_action:
                    self._simulator.advance(action)
                sensors = self._simulator.look()
                for name, values in readings.items():
                    values.append(torch.from_numpy(sensors[name].copy()))
        embeddings = self._world_model.encode({name: torch.stack(values)[None] for name, values in readings.items()})
        return LatentTrajectory(
            embeddings=embeddings.reshape(1, actions.shape[1], actions.shape[2], -1),
            actions=actions,
            previous_action=context.previous_action,
            start=context.embeddings[:, -1],
        )

    def explain(self, context: LatentContext, actions: Tensor, observed: Tensor, seen: Tensor) -> Explanation:
        """Compares what came with what is simulated from the present state."""
        embedding = self.rollout(context, actions[:, None, None]).embeddings[:, 0, 0]
        return Explanation(embedding=embedding, energy=squared_error(embedding, observed, seen))

    def foresee(
        self,
        context: LatentContext,  # noqa: ARG002 - as every model is asked
        states: Tensor,  # noqa: ARG002
        actions: Tensor,  # noqa: ARG002
        latents: Tensor | None = None,  # noqa: ARG002
    ) -> Tensor:
        """Simulates from no other states than the present one.

        Raises:
            OracleError: Always.
        """
        raise OracleError(f"the oracle model simulates, so it {_PRESENT_ALONE}")
