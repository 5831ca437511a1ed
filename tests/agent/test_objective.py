from dataclasses import replace
from functools import partial

import pytest
import torch

from agent.cost.intrinsic import ActionSmoothness, ControlEffort, GoalDistance
from agent.cost.types import CostModule
from agent.objective import ImaginedCost
from planners.types import TrajectoryObjective
from world_model.action_encoders import BoxActionEncoder
from world_model.dynamics.residual_mlp import ResidualMLPDynamics
from world_model.encoders.mlp import MLPEncoder
from world_model.jepa import JEPA
from world_model.latent.none import no_latent
from world_model.types import LatentContext, LatentGoal

BATCH, NUM_SAMPLES, HORIZON, EMBED_DIM, ACTION_DIM, ACTION_REPEAT = 2, 3, 4, 5, 2, 2


def draw(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(params=[1, 3], ids=lambda length: f"context_{length}")
def objective(request):
    model = JEPA(
        sensors={"position": (2,), "velocity": (3,)},
        embed_dims={"position": 2, "velocity": 3},
        encoder=partial(MLPEncoder, hidden_dim=8, num_layers=1),
        action_encoder=BoxActionEncoder,
        dynamics=partial(ResidualMLPDynamics, hidden_dim=16, num_layers=2),
        goal_dim=None,
        kinds=[],
        latent=no_latent,
        context_length=request.param,
        action_dim=ACTION_DIM,
        action_repeat=ACTION_REPEAT,
    ).double()
    with torch.no_grad():
        for index, parameter in enumerate(model.parameters()):
            parameter.copy_(0.3 * draw(*parameter.shape, seed=index))
    terms = {"distance": GoalDistance(last_step_weight=2.0), "effort": ControlEffort(), "change": ActionSmoothness()}
    return ImaginedCost(
        world_model=model,
        cost=CostModule(terms=terms, weights={"distance": 1.0, "effort": 0.1}, limits={"change": 0.3}),
        context=LatentContext(
            embeddings=draw(BATCH, request.param, EMBED_DIM, seed=100),
            actions=draw(BATCH, request.param - 1, ACTION_DIM * ACTION_REPEAT, seed=101),
            previous_action=draw(BATCH, ACTION_DIM * ACTION_REPEAT, seed=106),
        ),
        goal=LatentGoal(
            embedding=draw(BATCH, EMBED_DIM, seed=102), mask=torch.ones(BATCH, EMBED_DIM, dtype=torch.bool)
        ),
        action_repeat=ACTION_REPEAT,
    )


@pytest.fixture
def actions():
    return draw(BATCH, NUM_SAMPLES, HORIZON, ACTION_DIM, seed=103)


def test_it_shows_its_states(objective):
    assert isinstance(objective, TrajectoryObjective)


def test_the_cost_of_actions_is_that_of_the_states_that_they_lead_to(objective, actions):
    states = objective.rollout(actions)
    assert torch.equal(objective(actions).cost, objective.price(states, actions).cost)
    trajectory = objective.world_model.rollout(objective.context, actions.repeat(1, 1, 1, ACTION_REPEAT))
    assert torch.equal(objective(actions).cost, objective.cost(trajectory, objective.goal))
    change = ActionSmoothness()(trajectory, objective.goal)
    assert torch.equal(objective(actions).violations, (change[:, :, None] - 0.3) / 0.3)


def test_states_are_the_rollout_exactly_where_they_are_predicted(objective, actions):
    states = objective.rollout(actions)
    torch.testing.assert_close(objective.predict(states, actions), states, rtol=1e-12, atol=1e-12)
    for step in range(HORIZON - 1):
        moved = states.clone()
        moved[:, :, step] += 0.1
        differs = (objective.predict(moved, actions) - moved).abs().amax(dim=(0, 1, 3)) > 1e-6
        assert differs[step]  # no longer where the actions lead
        assert not differs[:step].any()


def test_the_last_state_leads_nowhere(objective, actions):
    states = objective.rollout(actions)
    moved = torch.cat([states[:, :, :-1], states[:, :, -1:] + 1.0], dim=2)
    assert torch.equal(objective.predict(moved, actions), objective.predict(states, actions))


def test_each_step_is_the_models_from_the_states_given_before_it(objective, actions):
    states = draw(BATCH, NUM_SAMPLES, HORIZON, EMBED_DIM, seed=104)
    predicted = objective.predict(states, actions)
    model_actions = actions.repeat(1, 1, 1, ACTION_REPEAT)
    length = objective.context.embeddings.shape[1]
    for problem in range(BATCH):
        for sample in range(NUM_SAMPLES):
            frames = torch.cat([objective.context.embeddings[problem], states[problem, sample]])
            past = torch.cat([objective.context.actions[problem], model_actions[problem, sample]])
            for step in range(HORIZON):
                window = slice(step, step + length)
                before = past[None, window][:, : length - 1]
                context = LatentContext(embeddings=frames[None, window], actions=before, previous_action=before[:, :0])
                action = past[None, None, None, step + length - 1]
                alone = objective.world_model.rollout(context, action).embeddings[0, 0, 0]
                torch.testing.assert_close(predicted[problem, sample, step], alone)


def test_gradients_agree_with_finite_differences(objective, actions):
    states = draw(BATCH, NUM_SAMPLES, HORIZON, EMBED_DIM, seed=105).requires_grad_()
    actions.requires_grad_()
    assert torch.autograd.gradcheck(lambda actions: objective(actions).cost, (actions,))
    assert torch.autograd.gradcheck(objective.predict, (states, actions))
    assert torch.autograd.gradcheck(lambda states, actions: objective.price(states, actions).cost, (states, actions))


def test_the_executed_action_counts_as_the_one_before_the_first(objective, actions):
    moved = replace(
        objective,
        context=replace(objective.context, previous_action=objective.context.previous_action + 1.0),
        cost=CostModule(terms={"change": ActionSmoothness()}, weights={"change": 1.0}, limits={}),
    )
    still = replace(moved, context=objective.context)
    first = (actions[:, :, 0].repeat(1, 1, ACTION_REPEAT) - objective.context.previous_action[:, None]) * 2.0
    torch.testing.assert_close(still(actions).cost - moved(actions).cost, (first - 1.0).mean(dim=2))
