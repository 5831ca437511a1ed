"""A world whose dynamics are known: the embedding is the position, and the action moves it."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from envs.spec import Box, EnvSpec
from world_model.types import Goal, LatentContext, LatentGoal, LatentTrajectory, Observation

STEP = 0.1


class IntegratorModel:
    """A perfect world model of a point that moves by a tenth of the sum of its control actions."""

    embed_dim = 5
    context_length = 1
    blocks: Mapping[str, slice] = {"position": slice(0, 3), "clock": slice(3, 5)}

    def encode(self, observation: Observation) -> Tensor:
        return torch.cat([observation["position"], observation["clock"]], dim=2)

    def encode_goal(self, goal: Goal) -> LatentGoal:
        embedding, mask = torch.zeros(1, 5), torch.zeros(1, 5, dtype=torch.bool)
        for name, value in goal.observation.items():
            embedding[:, self.blocks[name]] = value
            mask[:, self.blocks[name]] = goal.asked[name][:, None]
        return LatentGoal(embedding=embedding, mask=mask)

    def rollout(self, context: LatentContext, actions: Tensor) -> LatentTrajectory:
        moves = STEP * actions.unflatten(3, (-1, 3)).sum(dim=3).cumsum(dim=2)
        still = torch.zeros(*moves.shape[:3], 2)
        return LatentTrajectory(
            embeddings=context.embeddings[:, -1, None, None] + torch.cat([moves, still], dim=3),
            actions=actions,
            previous_action=context.actions[:, -1],
            start=context.embeddings[:, -1],
        )


@pytest.fixture
def spec() -> EnvSpec:
    return EnvSpec(
        env_id="test/Point-v0",
        xml_hash="0" * 64,
        sensors={"position": (3,), "clock": (2,)},
        goal={"position": Box(low=(-1.0, -1.0, -1.0), high=(1.0, 1.0, 1.0))},
        workspace=Box(low=(-1.0, -1.0, -1.0), high=(1.0, 1.0, 1.0)),
        action_dim=3,
        max_displacement=STEP,
        control_dt=0.05,
        num_steps=20,
    )


@pytest.fixture
def integrator() -> IntegratorModel:
    return IntegratorModel()
