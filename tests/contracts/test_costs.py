"""What every cost in configs/cost promises, and every critic in configs/critic, which is a cost too."""

from dataclasses import fields, replace

import pytest
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf

from agent.cost.statistics import FittedCost, TrainingStatistics
from agent.run.config.building import build
from agent.run.config.composing import compose_config, group_names
from world_model.types import LatentGoal, LatentTrajectory

BATCH, NUM_SAMPLES, HORIZON, EMBED_DIM, ACTION_DIM = 3, 5, 4, 6, 2
BLOCKS = {"tip": slice(0, 3), "object": slice(3, 6)}
SENSORS = {"tip": (3,), "object": (3,)}

FURTHER_ARGUMENTS = {FittedCost: {"blocks": BLOCKS, "sensors": SENSORS}}
"""Kind of term to what its constructor takes beside the values of the yaml; a term of no kind named takes nothing."""


def draw(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def statistics():
    tip, thing = draw(500, 3, seed=1), draw(500, 3, seed=2)
    return TrainingStatistics(
        embeddings=torch.cat([tip, thing], dim=1),
        readings={"tip": 0.5 * tip, "object": thing},
        control_dt=0.05,
        action_repeat=2,
    )


NODES = {name: compose_config([f"cost=[{name}]"]).values.cost[name] for name in group_names()["cost"]}
KINDS = {name: get_class(node.term._target_) for name, node in NODES.items()}
FITTED = [name for name, kind in KINDS.items() if issubclass(kind, FittedCost)]
CRITICS = compose_config([f"critic=[{','.join(group_names()['critic'])}]"]).values.critic


def build_term(name):
    further = [arguments for base, arguments in FURTHER_ARGUMENTS.items() if issubclass(KINDS[name], base)]
    fit = dict(NODES[name].get("fit", {}))
    fit |= {"sensor": "tip"} if "sensor" in fit else {}  # the effector's
    term = NODES[name].term
    corners = {"low": [-0.3, -0.3, -0.3], "high": [0.3, 0.3, 0.3]}  # of where it may be sent
    fit |= {key: corner for key, corner in corners.items() if key in term and term[key] is None}
    return build(term, **fit, **(further[0] if further else {}))


@pytest.fixture(params=[*sorted(NODES), *sorted(CRITICS)])
def cost(request, statistics):
    """A term that is ready for use, in double precision."""
    if request.param in CRITICS:
        node = CRITICS[request.param]
        torch.manual_seed(0)
        critic = build(node.network, embed_dim=EMBED_DIM).double().requires_grad_(False)
        return build(node.term, critic=critic)
    term = build_term(request.param)
    if isinstance(term, FittedCost):
        term.fit(statistics)
    return term.double() if isinstance(term, torch.nn.Module) else term


@pytest.fixture
def trajectory():
    return LatentTrajectory(
        embeddings=draw(BATCH, NUM_SAMPLES, HORIZON, EMBED_DIM, seed=3).double(),
        actions=draw(BATCH, NUM_SAMPLES, HORIZON, ACTION_DIM, seed=4).double(),
        previous_action=draw(BATCH, ACTION_DIM, seed=5).double(),
        start=draw(BATCH, EMBED_DIM, seed=6).double(),
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


@pytest.mark.parametrize("name", sorted(NODES))
def test_its_yaml_says_weight_limit_and_term(name):
    fitted = {"fit"} if name in FITTED else set()
    assert OmegaConf.to_container(NODES[name]).keys() == {"weight", "limit", "term"} | fitted


def test_it_is_one_finite_number_a_candidate_and_never_negative(cost, trajectory, goal):
    value = cost(trajectory, goal)
    assert value.shape == (BATCH, NUM_SAMPLES)
    assert torch.isfinite(value).all() and (value >= 0).all()


def test_candidates_differ(cost, trajectory, goal):
    assert (cost(trajectory, goal).std(dim=1) > 0).all()


def test_each_candidate_is_priced_on_its_own(cost, trajectory, goal):
    value = cost(trajectory, goal)
    for problem in range(BATCH):
        for sample in range(NUM_SAMPLES):
            alone = cost(*select(trajectory, goal, [problem], [sample]))
            torch.testing.assert_close(alone[0, 0], value[problem, sample])


def test_what_the_goal_does_not_ask_for_is_never_looked_at(cost, trajectory, goal):
    elsewhere = torch.where(goal.mask, goal.embedding, 100.0)
    assert torch.equal(cost(trajectory, replace(goal, embedding=elsewhere)), cost(trajectory, goal))


def test_it_is_differentiable_in_what_was_imagined(cost, trajectory, goal):
    inputs = tuple(getattr(trajectory, field.name).clone().requires_grad_() for field in fields(trajectory))
    assert torch.autograd.gradcheck(lambda *tensors: cost(LatentTrajectory(*tensors), goal), inputs)


def test_no_term_has_a_trainable_parameter_for_a_critic_is_trained_elsewhere(cost):
    assert not isinstance(cost, torch.nn.Module) or not list(cost.parameters())


@pytest.fixture
def imagined(trajectory):
    """The same in single precision, as an agent imagines."""
    return LatentTrajectory(*(getattr(trajectory, field.name).float() for field in fields(trajectory)))


@pytest.mark.parametrize("name", FITTED)
def test_no_gradient_reaches_what_was_fitted(name, statistics, imagined, goal):
    term = build_term(name)
    term.fit(replace(statistics, embeddings=statistics.embeddings.clone().requires_grad_()))
    before = {key: buffer.clone() for key, buffer in term.named_buffers()}
    embeddings = imagined.embeddings.requires_grad_()
    term(imagined, goal).sum().backward()
    assert embeddings.grad is not None and (embeddings.grad != 0).any()
    for key, buffer in term.named_buffers():
        assert not buffer.requires_grad and buffer.grad is None
        assert torch.equal(buffer, before[key])


@pytest.mark.parametrize("name", FITTED)
def test_what_was_fitted_survives_saving_exactly(name, statistics, imagined, goal):
    fitted, restored = build_term(name), build_term(name)
    fitted.fit(statistics)
    restored.load_state_dict(fitted.state_dict())
    assert fitted(imagined, goal).dtype == torch.float32
    assert torch.equal(restored(imagined, goal), fitted(imagined, goal))


@pytest.mark.parametrize("name", FITTED)
def test_what_was_not_fitted_has_no_cost(name, imagined, goal):
    assert build_term(name)(imagined, goal).isnan().all()


@pytest.mark.parametrize("name", FITTED)
def test_the_same_data_fit_the_same(name, statistics):
    first, second = build_term(name), build_term(name)
    first.fit(statistics)
    second.fit(statistics)
    for key, tensor in first.state_dict().items():
        assert torch.isfinite(tensor).all()
        assert torch.equal(second.state_dict()[key], tensor)
