"""What every critic in configs/critic promises."""

import copy
from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from agent.cost.critic import CriticNetwork
from agent.cost.types import CostModule
from agent.learning.critic import CriticTask
from agent.learning.experience import Experience, Split
from agent.run.config.building import build
from agent.run.config.composing import ConfigError, flatten, group_names
from world_model.training.checkpoint import Metadata
from world_model.types import LatentGoal, LatentTrajectory

BATCH, NUM_STATES, EMBED_DIM = 5, 6, 4
BLOCKS = {"tip": slice(0, 2), "object": slice(2, 4)}


def shipped(group, name):
    return OmegaConf.load(files("configs").joinpath(group, f"{name}.yaml"))


NODES = {name: shipped("critic", name) for name in group_names()["critic"]}
NUMBERS = [
    (name, key)
    for name, node in NODES.items()
    for key, value in flatten(OmegaConf.to_container(node)).items()
    if isinstance(value, int | float) and key != "weight"
]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def experience():
    """Slow walks: what was reached lies near what was left."""
    walks = 0.1 * draw(40, 21, EMBED_DIM).cumsum(dim=1)
    return Experience(
        embeddings=walks.flatten(0, 1),
        actions=torch.zeros(40 * 20, 1),
        lengths=torch.full((40,), 20),
        goal_parts=BLOCKS,
        action_repeat=1,
    )


@pytest.fixture
def goal():
    mask = torch.tensor([[True] * 4, [True] * 2 + [False] * 2, [False] * 2 + [True] * 2, [True] * 4, [True] * 4])
    return LatentGoal(embedding=torch.where(mask, draw(BATCH, EMBED_DIM, seed=1), 0.0), mask=mask)


def build_network(node):
    torch.manual_seed(0)
    return build(node.network, embed_dim=EMBED_DIM)


def make_task(node, experience):
    settings = build(shipped("learning", "default"))
    return CriticTask(
        critic=build_network(node),
        learning=build(node.learning),
        experience=experience,
        split=Split.draw(40, validation_fraction=0.2, rng=np.random.default_rng(0)),
        settings=replace(settings, batch_size=64, num_validation_samples=256, validation_fraction=0.2),
        task_sensors=["object"],
        metadata=Metadata(
            configs={}, env={}, action_repeat=1, versions={}, data_fingerprint="", training_step=0, bonds={}
        ),
        seed=0,
    )


def train(task, *, num_steps):
    """Trains the critic of a task, and returns it."""
    critic = task.module["critic"]
    optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3)
    for step in range(1, num_steps + 1):
        optimizer.zero_grad()
        task.losses(step)["loss"].backward()
        optimizer.step()
        task.finish_step()
    return critic


@pytest.fixture(params=sorted(NODES))
def node(request):
    return NODES[request.param]


def test_its_yaml_says_weight_limit_term_network_and_learning(node):
    assert OmegaConf.to_container(node).keys() == {"weight", "limit", "term", "network", "learning"}


def test_each_member_says_one_finite_number_a_state(node, goal):
    critic = build_network(node)
    assert isinstance(critic, CriticNetwork)
    opinions = critic(5.0 * draw(BATCH, NUM_STATES, EMBED_DIM), goal)
    assert opinions.shape == (node.network.get("num_members", 1), BATCH, NUM_STATES)
    assert torch.isfinite(opinions).all()


def test_each_state_is_judged_on_its_own(node, goal):
    critic, states = build_network(node), draw(BATCH, NUM_STATES, EMBED_DIM)
    together = critic(states, goal)
    for problem in range(BATCH):
        alone = LatentGoal(embedding=goal.embedding[problem, None], mask=goal.mask[problem, None])
        opinions = torch.stack([critic(state[None, None], alone)[:, 0, 0] for state in states[problem]], dim=1)
        torch.testing.assert_close(opinions, together[:, problem])


def test_what_a_goal_does_not_ask_for_is_never_looked_at(node, goal):
    critic, states = build_network(node), draw(BATCH, NUM_STATES, EMBED_DIM)
    elsewhere = LatentGoal(embedding=torch.where(goal.mask, goal.embedding, 100.0), mask=goal.mask)
    assert torch.equal(critic(states, elsewhere), critic(states, goal))


def test_what_was_learned_survives_saving_exactly(node, goal, experience):
    critic, restored = train(make_task(node, experience), num_steps=3), build_network(node)
    restored.load_state_dict(critic.state_dict())
    states = draw(BATCH, NUM_STATES, EMBED_DIM)
    assert torch.equal(restored(states, goal), critic(states, goal))


def test_learning_lowers_the_loss_on_episodes_that_were_not_learned_from(node, experience):
    """Against a target that stays as it is, which that of a critic in training does not."""
    task = make_task(node, experience)
    before, target = task.validate(0)["loss"], copy.deepcopy(task.module)
    train(task, num_steps=200)
    if "target" in task.module:
        task.module["target"].load_state_dict(target["target"].state_dict())
    assert task.validate(0)["loss"] < 0.8 * before


def test_the_same_data_teach_the_same(node, goal, experience):
    states = draw(BATCH, NUM_STATES, EMBED_DIM)
    first, again = (train(make_task(node, experience), num_steps=5) for _ in range(2))
    assert torch.equal(first(states, goal), again(states, goal))


def changed(node, key, value):
    node = copy.deepcopy(node)
    OmegaConf.update(node, key, value)
    return node


def price(node, experience, goal):
    """Returns what imagined futures cost after some training."""
    critic = train(make_task(node, experience), num_steps=8).requires_grad_(False)
    trajectory = LatentTrajectory(
        embeddings=0.3 * draw(BATCH, 3, 4, EMBED_DIM, seed=2),
        actions=torch.zeros(BATCH, 3, 4, 1),
        previous_action=torch.zeros(BATCH, 1),
        start=torch.zeros(BATCH, EMBED_DIM),
    )
    weight = node.weight or 1.0
    cost = CostModule(terms={"critic": build(node.term, critic=critic)}, weights={"critic": weight}, limits={})
    return cost(trajectory, goal)


@pytest.mark.parametrize(("name", "key"), NUMBERS)
def test_every_number_matters(name, key, experience, goal):
    node = NODES[name]
    value = OmegaConf.select(node, key)
    other = (
        value + 1
        if isinstance(value, int) or value == 0
        else (1 + value) / 2
        if key == "learning.expectile"
        else value / 20
    )
    is_same = torch.equal(price(node, experience, goal), price(changed(node, key, other), experience, goal))
    has_no_doubt = key == "term.doubt_weight" and node.network.get("num_members", 1) == 1
    assert is_same == has_no_doubt


@pytest.mark.parametrize(("name", "key"), NUMBERS)
def test_every_number_out_of_range_is_refused_by_name_and_value(name, key):
    is_count = isinstance(OmegaConf.select(NODES[name], key), int)
    for value in (-1, 0) if is_count else (-1.0, float("nan"), float("inf")):
        node = changed(NODES[name], key, value)
        with pytest.raises(ConfigError, match=rf"{key.split('.')[-1]}.* must .*, got {value}$"):
            build(node.learning)
            build(node.term, critic=build_network(node))
