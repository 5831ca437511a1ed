"""Contact on a scripted world whose errors are known."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from envs.spec import Box, Sensor
from world_model.dynamics.base import Dynamics
from world_model.probes import LinearProbe
from world_model.training.contact import ContactWindows, find_movables
from world_model.training.embedded import embed_rows
from world_model.training.probed_frames import FittedProbe

NUM_EPISODES, NUM_STEPS, WAY, DRIFT = 40, 12, 0.1, 0.003


def record_world(record, folder, *, moving=True, **more):
    """A hand that every action moves; in every other episode, a ball that each fourth step takes along by 0.1 m."""
    rng = np.random.default_rng(0)
    readings, actions = [], []
    for episode in range(NUM_EPISODES):
        done = rng.uniform(0.05, 0.1, (NUM_STEPS, 1))
        pushed = (np.arange(NUM_STEPS) % 4 == 0) & (episode % 2 == 0) & moving
        ball = np.concatenate([rng.uniform(-1, 1, 1), WAY * pushed]).cumsum()
        hand = np.concatenate([rng.uniform(-1, 1, (1, 1)), done]).cumsum(axis=0)
        readings.append({"hand": hand, "ball": ball[:, None], **{name: it(ball) for name, it in more.items()}})
        actions.append(done)
    return record(folder, readings, actions)


class Wrong(Dynamics):
    """Moves the hand rightly, and the ball by a drift alone, whether it is pushed or not."""

    def __init__(self, **_):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def begin(self, embeddings, actions):
        return (embeddings[:, -1],)

    def predict(self, state, action):
        return (), state[0] + torch.cat([action, torch.full_like(action, DRIFT)], dim=1)

    @property
    def least_context(self):
        return 1

    def take_in(self, foretold, embedding):
        return (embedding,)

    def foresee(self, state, actions, embeddings):
        raise NotImplementedError


@pytest.fixture
def model(build_model):
    return build_model(
        sensors={"hand": (1,), "ball": (1,)},
        embed_dims={"hand": 1, "ball": 1},
        encoder=lambda **shape: nn.Flatten(),
        dynamics=Wrong,
        action_dim=1,
    ).eval()


def measure(dataset, model, horizon=4, num_windows=200):
    contact = ContactWindows(
        dataset,
        episodes=np.arange(NUM_EPISODES),
        model=model,
        horizon=horizon,
        num_windows=num_windows,
        rng=np.random.default_rng(0),
    )
    exact = LinearProbe(weight=torch.tensor([[0.0], [1.0]]).double(), offset=torch.zeros(1).double())
    probes = {name: FittedProbe(exact, torch.ones(1, dtype=torch.bool)) for name in ("ball", "turned")}
    return contact.measure(model, partial(embed_rows, model, dataset), probes)


def test_errors_drift_and_copying_are_what_they_are_known_to_be(record, model, tmp_path):
    metrics = measure(record_world(record, tmp_path), model)
    assert metrics["contact/moving_copy"] == pytest.approx(WAY, abs=1e-6)  # one push in any four steps
    assert metrics["contact/moving_error"] == pytest.approx(WAY - 4 * DRIFT, abs=1e-6)
    assert metrics["contact/resting_drift"] == pytest.approx(4 * DRIFT, abs=1e-6)
    assert metrics["contact/after_1/resting_drift"] == pytest.approx(DRIFT, abs=1e-6)
    assert metrics["contact/after_3/resting_drift"] == pytest.approx(3 * DRIFT, abs=1e-6)
    assert metrics["contact/probe_error"] == pytest.approx(0, abs=1e-6)
    assert metrics["contact/moving_share"] == pytest.approx(1 / 8, abs=0.01)


def test_without_truth_an_error_is_a_share_of_what_contact_changes(record, model, tmp_path):
    metrics = measure(record_world(record, tmp_path), model)
    assert metrics["contact/unexplained_error"] == pytest.approx((1 - 4 * DRIFT / WAY) ** 2, rel=0.05)
    assert metrics["contact/unexplained_drift"] == pytest.approx((4 * DRIFT / WAY) ** 2, rel=0.2)


def test_the_robot_itself_and_what_never_moves_are_no_things(record, model, tmp_path):
    dataset = record_world(record, tmp_path / "moving", table=lambda ball: 0 * ball[:, None])
    assert [it.sensor for it in find_movables(dataset, episodes=np.arange(10), action_repeat=1)] == ["ball"]
    resting = record_world(record, tmp_path / "resting", moving=False)
    metrics = measure(resting, model)
    assert metrics == {}  # nor does an embedding change beyond the robot's own motion


def test_things_are_those_in_the_unit_of_what_goals_ask_for(record, model, tmp_path):
    turned = {"turned": lambda ball: 2 * ball[:, None]}
    dataset = record_world(record, tmp_path, **turned)

    def things(asked, unit):
        env = dataset.manifest.env
        goal = {name: Box((-3.0,), (3.0,)) for name in asked}
        env = replace(env, sensors={**env.sensors, "turned": Sensor((1,), "numbers", unit)}, goal=goal, asked=asked)
        there = replace(dataset, manifest=replace(dataset.manifest, env=env))
        return [it.sensor for it in find_movables(there, episodes=np.arange(10), action_repeat=1)]

    assert things((), "") == ["ball", "turned"]
    assert things((), "rad") == ["ball"]
    assert things(("turned",), "rad") == ["turned"]
