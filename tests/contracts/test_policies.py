"""What every policy in configs/policy promises."""

import copy
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from agent.actions import free_bounds
from agent.learning.cost_to_go import CostToGo
from agent.learning.experience import Experience, Split
from agent.learning.policy import PolicyTask
from agent.learning.practice import Demonstrations
from agent.run.config.building import build
from agent.run.config.composing import ConfigError, flatten, group_names
from envs.spec import BoxActions
from world_model.training.checkpoint import Metadata
from world_model.types import LatentGoal

BATCH, EMBED_DIM, ACTION_DIM = 5, 4, 3
OF_OTHER_STAGES = ("learning.num_imitated", "learning.violation_weight")  # of practice, and of the refinement


def shipped(group, name):
    return OmegaConf.load(files("configs").joinpath(group, f"{name}.yaml"))


NODES = {name: shipped("policy", name) for name in group_names()["policy"]}
NUMBERS = [
    (name, key)
    for name, node in NODES.items()
    for key, value in flatten(OmegaConf.to_container(node)).items()
    if isinstance(value, int | float)
]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def goal():
    mask = torch.tensor([[True] * 4, [True] * 2 + [False] * 2, [False] * 2 + [True] * 2, [True] * 4, [True] * 4])
    return LatentGoal(embedding=torch.where(mask, draw(BATCH, EMBED_DIM, seed=1), 0.0), mask=mask)


@pytest.fixture(scope="module")
def experience():
    """Walks: the first three dimensions follow the action, and the last one stays."""
    actions = draw(40, 20, ACTION_DIM).tanh()
    moves = torch.nn.functional.pad(0.2 * actions, (0, 1)).cumsum(dim=1)
    return Experience(
        embeddings=torch.cat([torch.zeros(40, 1, EMBED_DIM), moves], dim=1).flatten(0, 1),
        actions=actions.flatten(0, 1),
        lengths=torch.full((40,), 20),
        goal_parts={"tip": slice(0, 2), "object": slice(2, 4)},
        action_repeat=1,
    )


def build_network(node):
    torch.manual_seed(0)
    return build(node.network, embed_dim=EMBED_DIM, bounds=free_bounds(BoxActions.unit(ACTION_DIM)))


def steps_left(embeddings, goal):
    """Counts short steps, so that some actions seem to be worth several."""
    return ((goal.embedding[:, None] - embeddings) * goal.mask[:, None]).abs().amax(dim=2)[None] / 0.05


def make_task(node, experience):
    places, wished = draw(200, EMBED_DIM, seed=2), draw(200, EMBED_DIM, seed=3)
    return PolicyTask(
        policy=build_network(node),
        critic=steps_left,
        cost_to_go=CostToGo(discount=1.0, reached_distance=0.01),
        learning=build(node.learning),
        demonstrations=Demonstrations(
            embedding=places,
            goal=LatentGoal(embedding=wished, mask=torch.ones(200, EMBED_DIM, dtype=torch.bool)),
            action=(wished - places)[:, :ACTION_DIM].clamp(-1.0, 1.0),
        ),
        experience=experience,
        split=Split.draw(40, validation_fraction=0.05, rng=np.random.default_rng(0)),
        settings=replace(build(shipped("learning", "default")), batch_size=64, num_validation_samples=256),
        task_sensors=["object"],
        metadata=Metadata(
            configs={}, env={}, action_repeat=1, versions={}, data_fingerprint="", training_step=0, bonds={}
        ),
        seed=0,
    )


def train(task, *, num_steps):
    """Trains the policy of a task; returns it, and the loss of each step."""
    optimizer, losses = torch.optim.Adam(task.module.parameters(), lr=3e-3), []
    for step in range(1, num_steps + 1):
        optimizer.zero_grad()
        loss = task.losses(step)["loss"]
        loss.backward()
        optimizer.step()
        task.finish_step()
        losses.append(loss.item())
    return task.module, losses


@pytest.fixture(params=sorted(NODES))
def node(request):
    return NODES[request.param]


def test_its_yaml_says_network_and_learning(node):
    assert OmegaConf.to_container(node).keys() == {"network", "learning"}


def test_an_action_lies_within_its_bounds_whatever_is_seen(node, goal):
    policy = build_network(node)
    for scale in (0.0, 1.0, 1e3, 1e6):
        actions = policy(scale * draw(BATCH, EMBED_DIM), goal)
        assert actions.shape == (BATCH, ACTION_DIM) and (actions.abs() <= 1.0).all()


def test_an_action_lies_in_the_robots_own_box(node, goal):
    torch.manual_seed(0)
    bounds = free_bounds(BoxActions(low=(0.0, -2.0), high=(300.0, 0.0), idle=None))
    policy = build(node.network, embed_dim=EMBED_DIM, bounds=bounds)
    actions = policy(1e3 * draw(BATCH, EMBED_DIM), goal)
    assert torch.equal(actions, bounds.clip(actions[:, None])[:, 0]) and actions[:, 0].max() > 2.0


def test_each_state_is_answered_on_its_own(node, goal):
    policy, states = build_network(node), draw(BATCH, EMBED_DIM)
    together = policy(states, goal)
    for row in range(BATCH):
        alone = LatentGoal(embedding=goal.embedding[row, None], mask=goal.mask[row, None])
        torch.testing.assert_close(policy(states[row, None], alone)[0], together[row])


def test_what_a_goal_does_not_ask_for_is_never_looked_at(node, goal):
    policy, states = build_network(node), draw(BATCH, EMBED_DIM)
    elsewhere = LatentGoal(embedding=torch.where(goal.mask, goal.embedding, 100.0), mask=goal.mask)
    assert torch.equal(policy(states, elsewhere), policy(states, goal))


def test_learning_lowers_the_loss_and_is_repeated_exactly(node, goal, experience):
    (first, losses), (again, _) = (train(make_task(node, experience), num_steps=60) for _ in range(2))
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])
    states = draw(BATCH, EMBED_DIM)
    assert torch.equal(first(states, goal), again(states, goal))


def test_what_was_learned_survives_saving_exactly(node, goal, experience):
    (policy, _), restored = train(make_task(node, experience), num_steps=3), build_network(node)
    restored.load_state_dict(policy.state_dict())
    states = draw(BATCH, EMBED_DIM)
    assert torch.equal(restored(states, goal), policy(states, goal))


def changed(node, key, value):
    node = copy.deepcopy(node)
    OmegaConf.update(node, key, value)
    return node


@pytest.mark.parametrize(("name", "key"), [number for number in NUMBERS if number[1] not in OF_OTHER_STAGES])
def test_every_number_matters(name, key, goal, experience):
    value = OmegaConf.select(NODES[name], key)
    other = value + 1 if isinstance(value, int) else value / 20
    policies = [
        train(make_task(it, experience), num_steps=5)[0] for it in (NODES[name], changed(NODES[name], key, other))
    ]
    states = draw(BATCH, EMBED_DIM)
    first, second = (policy(states, goal) for policy in policies)
    assert not torch.allclose(first, second, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize(("name", "key"), NUMBERS)
def test_every_number_out_of_range_is_refused_by_name_and_value(name, key):
    is_count = isinstance(OmegaConf.select(NODES[name], key), int)
    for value in (-1, 0) if is_count else (-1.0, float("nan"), float("inf")):
        node = changed(NODES[name], key, value)
        with pytest.raises(ConfigError, match=rf"{key.split('.')[-1]}.* must .*, got {value}$"):
            build(node.learning)
            build_network(node)
