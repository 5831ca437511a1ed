"""What every cost in configs/cost promises."""

from dataclasses import replace

import pytest
import torch
from omegaconf import OmegaConf

from agent.run.building import build
from agent.run.config import compose_config, group_names
from world_model.types import LatentGoal, LatentTrajectory

BATCH, NUM_SAMPLES, HORIZON, EMBED_DIM, ACTION_DIM = 3, 5, 4, 6, 2


@pytest.fixture(params=group_names()["cost"])
def cost(request):
    node = compose_config([f"cost=[{request.param}]"]).values.cost[request.param]
    assert OmegaConf.to_container(node).keys() == {"weight", "limit", "term"}
    return build(node.term)


@pytest.fixture
def trajectory():
    generator = torch.Generator().manual_seed(0)
    return LatentTrajectory(
        embeddings=torch.randn(BATCH, NUM_SAMPLES, HORIZON, EMBED_DIM, generator=generator, dtype=torch.float64),
        actions=torch.randn(BATCH, NUM_SAMPLES, HORIZON, ACTION_DIM, generator=generator, dtype=torch.float64),
        previous_action=torch.randn(BATCH, ACTION_DIM, generator=generator, dtype=torch.float64),
        start=torch.randn(BATCH, EMBED_DIM, generator=generator, dtype=torch.float64),
    )


@pytest.fixture
def goal():
    mask = torch.tensor([[True] * 6, [True] * 3 + [False] * 3, [False] * 3 + [True] * 3])
    return LatentGoal(embedding=torch.where(mask, 0.5, 0.0).double(), mask=mask)


def select(trajectory, goal, problems, samples):
    """Returns some of the problems and candidates."""
    return (
        LatentTrajectory(
            embeddings=trajectory.embeddings[problems][:, samples],
            actions=trajectory.actions[problems][:, samples],
            previous_action=trajectory.previous_action[problems],
            start=trajectory.start[problems],
        ),
        LatentGoal(embedding=goal.embedding[problems], mask=goal.mask[problems]),
    )


def test_it_is_one_finite_number_a_candidate_and_never_negative(cost, trajectory, goal):
    value = cost(trajectory, goal)
    assert value.shape == (BATCH, NUM_SAMPLES)
    assert torch.isfinite(value).all() and (value >= 0).all()


def test_each_candidate_is_priced_on_its_own(cost, trajectory, goal):
    value = cost(trajectory, goal)
    for problem in range(BATCH):
        for sample in range(NUM_SAMPLES):
            alone = cost(*select(trajectory, goal, [problem], [sample]))
            torch.testing.assert_close(alone[0, 0], value[problem, sample])


def test_what_the_goal_does_not_ask_for_costs_nothing(cost, trajectory, goal):
    value = cost(trajectory, goal)
    moved = torch.where(goal.mask[:, None, None], trajectory.embeddings, trajectory.embeddings + 100.0)
    changed = replace(trajectory, embeddings=moved)
    torch.testing.assert_close(cost(changed, goal), value)


def test_it_has_no_trainable_parameter(cost):
    assert not isinstance(cost, torch.nn.Module) or not list(cost.parameters())


def test_it_is_differentiable_in_what_was_imagined(cost, trajectory, goal):
    inputs = (
        trajectory.embeddings.clone().requires_grad_(),
        trajectory.actions.clone().requires_grad_(),
        trajectory.previous_action.clone().requires_grad_(),
        trajectory.start.clone().requires_grad_(),
    )
    assert torch.autograd.gradcheck(lambda *tensors: cost(LatentTrajectory(*tensors), goal), inputs)
