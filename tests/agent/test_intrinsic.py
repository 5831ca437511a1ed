from functools import partial

import pytest
import torch
from torch import Tensor

from agent.cost.constraints import SpeedLimit, WorkspaceLimit
from agent.cost.intrinsic import ActionSmoothness, ControlEffort, GoalDistance
from agent.cost.novelty import Novelty
from agent.cost.statistics import FittedCost, TrainingStatistics
from agent.cost.types import CostModule
from world_model.action_encoders import BoxActionEncoder
from world_model.dynamics.residual_mlp import ResidualMLPDynamics
from world_model.encoders.mlp import MLPEncoder
from world_model.jepa import JEPA
from world_model.latent.none import no_latent
from world_model.types import LatentContext, LatentGoal, LatentTrajectory


def trajectory(embeddings: Tensor, actions: Tensor | None = None) -> LatentTrajectory:
    actions = torch.zeros(*embeddings.shape[:3], 2) if actions is None else actions
    return LatentTrajectory(
        embeddings=embeddings,
        actions=actions,
        previous_action=torch.zeros(len(actions), 2),
        start=torch.zeros(len(embeddings), embeddings.shape[3]),
    )


def goal(embedding: Tensor, mask: Tensor | None = None) -> LatentGoal:
    return LatentGoal(embedding=embedding, mask=torch.ones_like(embedding, dtype=torch.bool) if mask is None else mask)


def test_goal_distance_is_the_mean_square_summed_over_the_horizon():
    embeddings = torch.tensor([[[[1.0, 0.0], [3.0, 4.0]]]])
    cost = GoalDistance(last_step_weight=1.0)(trajectory(embeddings), goal(torch.zeros(1, 2)))
    assert cost.tolist() == [[0.5 + 12.5]]


def test_the_last_step_weighs_what_it_is_told():
    embeddings = torch.tensor([[[[1.0, 0.0], [3.0, 4.0]]]])
    cost = GoalDistance(last_step_weight=3.0)(trajectory(embeddings), goal(torch.zeros(1, 2)))
    assert cost.tolist() == [[0.5 + 3 * 12.5]]


def test_what_a_partial_goal_leaves_out_costs_nothing():
    embeddings = torch.randn(1, 4, 3, 5)
    mask = torch.tensor([[True, True, False, False, False]])
    asked = GoalDistance(last_step_weight=1.0)(trajectory(embeddings), goal(torch.zeros(1, 5), mask))
    embeddings[..., 2:] += 100.0
    assert torch.equal(GoalDistance(last_step_weight=1.0)(trajectory(embeddings), goal(torch.zeros(1, 5), mask)), asked)
    alone = GoalDistance(last_step_weight=1.0)(trajectory(embeddings[..., :2]), goal(torch.zeros(1, 2)))
    torch.testing.assert_close(asked, alone)


def test_problems_of_a_batch_may_ask_for_different_sensors():
    embeddings = torch.tensor([[[[1.0, 2.0]]], [[[1.0, 2.0]]]])
    mask = torch.tensor([[True, False], [False, True]])
    cost = GoalDistance(last_step_weight=1.0)(trajectory(embeddings), goal(torch.zeros(2, 2), mask))
    assert cost.tolist() == [[1.0], [4.0]]


def test_effort_and_smoothness_of_known_actions():
    actions = torch.tensor([[[[1.0, 1.0], [1.0, 1.0], [-1.0, 1.0]]]])
    imagined = trajectory(torch.zeros(1, 1, 3, 2), actions)
    assert ControlEffort()(imagined, goal(torch.zeros(1, 2))).item() == 3.0
    assert ActionSmoothness()(imagined, goal(torch.zeros(1, 2))).item() == 1.0 + 0.0 + 2.0


SENSORS = {"tip": (2,), "object": (3,)}
BLOCKS = {"tip": slice(0, 2), "object": slice(2, 5)}
PARTS = {"blocks": BLOCKS, "sensors": SENSORS}
TERMS = {
    "distance": lambda: GoalDistance(last_step_weight=2.0),
    "effort": ControlEffort,
    "smoothness": ActionSmoothness,
    "workspace": lambda: WorkspaceLimit(low=[-0.1, -0.1], high=[0.1, 0.1], sensor="tip", ridge=1e-6, **PARTS),
    "speed": lambda: SpeedLimit(max_speed=0.1, sensor="tip", ridge=1e-6, **PARTS),
    "novelty": lambda: Novelty(num_centers=8, num_iterations=5, quantile=0.5, **PARTS),
}


def draw(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def world_model() -> JEPA:
    model = JEPA(
        sensors=SENSORS,
        embed_dims={"tip": 2, "object": 3},
        encoder=partial(MLPEncoder, hidden_dim=8, num_layers=1),
        action_encoder=BoxActionEncoder,
        dynamics=partial(ResidualMLPDynamics, hidden_dim=16, num_layers=2),
        goal_dim=None,
        kinds=[],
        latent=no_latent,
        context_length=1,
        action_dim=2,
        action_repeat=2,
    ).double()
    with torch.no_grad():
        for index, parameter in enumerate(model.parameters()):
            parameter.copy_(0.3 * draw(*parameter.shape, seed=index))
    return model


@pytest.mark.parametrize("name", TERMS)
def test_gradients_through_a_world_model_reach_the_actions_and_agree_with_finite_differences(name, world_model):
    readings = {"tip": draw(1, 300, 2, seed=50), "object": draw(1, 300, 3, seed=51)}
    embeddings = world_model.encode(readings)[0]
    term = TERMS[name]()
    if isinstance(term, FittedCost):
        term.double().fit(
            TrainingStatistics(
                embeddings=embeddings,
                readings={sensor: values[0] for sensor, values in readings.items()},
                control_dt=0.05,
                action_repeat=2,
            )
        )
        assert not list(term.parameters())
        assert not any(buffer.requires_grad for buffer in term.buffers())
    context = LatentContext(
        embeddings=embeddings[:2, None].detach(), actions=draw(2, 0, 4, seed=52), previous_action=draw(2, 4, seed=52)
    )
    asked = goal(draw(2, 5, seed=53))
    actions = draw(2, 3, 4, 4, seed=54).requires_grad_()
    assert torch.autograd.gradcheck(lambda actions: term(world_model.rollout(context, actions), asked), actions)
    (gradient,) = torch.autograd.grad(term(world_model.rollout(context, actions), asked).sum(), actions)
    assert (gradient.abs().amax(dim=(1, 2, 3)) > 1e-6).all()


def test_the_cost_module_is_the_weighted_sum():
    terms = {"effort": ControlEffort(), "smoothness": ActionSmoothness()}
    imagined = trajectory(torch.zeros(1, 1, 1, 2), torch.full((1, 1, 1, 2), 2.0))
    cost = CostModule(terms=terms, weights={"effort": 0.5, "smoothness": 2.0}, limits={})
    assert cost(imagined, goal(torch.zeros(1, 2))).item() == 10.0


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"effort": -1.0}, "'effort' must be at least 0 and finite, got -1.0"),
        ({"effort": float("nan")}, "must be at least 0 and finite, got nan"),
        ({"effort": 0.0}, "at least one cost weight must be above 0"),
        ({"efort": 1.0}, "must name one of the terms"),
    ],
)
def test_weights_that_mean_nothing_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        CostModule(terms={"effort": ControlEffort()}, weights=weights, limits={})


def test_a_term_with_a_limit_is_a_constraint_and_no_cost():
    terms = {"effort": ControlEffort(), "smoothness": ActionSmoothness()}
    imagined = trajectory(torch.zeros(1, 2, 1, 2), torch.tensor([[[[2.0, 2.0]], [[0.5, 0.5]]]]))
    cost = CostModule(terms=terms, weights={"effort": 0.5, "smoothness": 2.0}, limits={"effort": 2.0})
    assert cost(imagined, goal(torch.zeros(1, 2))).tolist() == [[8.0, 0.5]]
    assert cost.violations(imagined, goal(torch.zeros(1, 2))).tolist() == [[[1.0], [-0.875]]]  # of the limit
    none = CostModule(terms=terms, weights={"smoothness": 1.0}, limits={"effort": 0.0})
    in_thousandths = torch.tensor([[[4000.0], [250.0]]])
    torch.testing.assert_close(none.violations(imagined, goal(torch.zeros(1, 2))), in_thousandths)
    free = CostModule(terms=terms, weights={"effort": 0.5}, limits={})
    assert free.violations(imagined, goal(torch.zeros(1, 2))).shape == (1, 2, 0)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"efort": 1.0}, "a cost limit must name one of the terms"),
        ({"smoothness": float("nan")}, "the limit of cost term 'smoothness' must be finite, got nan"),
        ({"smoothness": "low"}, "must be finite, got 'low'"),
        ({"effort": 1.0}, r"at least one cost weight must be above 0, got .*, of which \['effort'\] are constraints"),
    ],
)
def test_limits_that_mean_nothing_are_refused(limits, message):
    terms = {"effort": ControlEffort(), "smoothness": ActionSmoothness()}
    with pytest.raises(ValueError, match=message):
        CostModule(terms=terms, weights={"effort": 1.0}, limits=limits)
