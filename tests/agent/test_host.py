"""A host may set torch and NumPy as it likes: an agent acts the same to the last bit, and the settings stay."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from agent.actions import free_bounds
from agent.actor import Actor
from agent.cost.critic import ValueEnsemble
from agent.learning.critic import ExpectileTD
from agent.learning.hindsight import Hindsight
from agent.learning.online import OnlineActor, OnlineLearner, OnlineSettings
from agent.policy import MLPPolicy
from envs.spec import BoxActions


@contextmanager
def double_by_default():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def nowhere_by_default():
    torch.set_default_device("meta")
    try:
        yield
    finally:
        torch.set_default_device(None)


HOSTS = {
    "float64 by default": double_by_default,
    "another device by default": nowhere_by_default,
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "gradients": torch.enable_grad,
    "automatic casts": lambda: torch.autocast("cpu", torch.bfloat16),
    "NumPy that raises": lambda: np.errstate(all="raise"),
}


def settings():
    """Returns what a host can see of its settings."""
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
        np.geterr(),
        torch.random.get_rng_state().tolist(),
    )


def as_it_is(readings):
    return np.asarray(readings, np.float32)


def with_gradient(readings):
    return torch.tensor(readings, dtype=torch.float32, device="cpu", requires_grad=True)


def act(actor, *, show=as_it_is, num_steps=5):
    """Lets a point go to a goal twice; returns its places."""
    places = []
    for goal in ([0.5, -0.3, 0.2], [-0.5, 1e-30, 0.2]):
        actor.reset({"position": show(goal)}, seed=3)
        place = np.zeros(3, np.float32)
        for _ in range(num_steps):
            action = actor.act({"position": show(place.tolist()), "clock": show([0.0, 1e-30])})
            with np.errstate(all="ignore"):
                place = (place + 0.1 * action).astype(np.float32)
            places.append(place)
    return np.array(places)


def learner_of(critic):
    return OnlineLearner(
        critics={"it": critic},
        learning={"it": ExpectileTD(discount=0.97, expectile=0.9, reached_distance=0.05, target_decay=0.9)},
        recorded=None,
        goal_parts={"position": slice(0, 3), "clock": slice(3, 5)},
        action_dim=3,
        task_sensors=["position"],
        hindsight=Hindsight(any_time_share=0.0, future_share=1.0, task_share=1.0, partial_share=0.0),
        settings=OnlineSettings(
            num_steps=3,
            batch_size=8,
            learning_rate=1e-3,
            clip_norm=10.0,
            own_share=0.25,
            pursued_share=0.5,
            num_episodes=5,
        ),
        seed=0,
    )


def build(make_actor, *, learns, mode="hybrid"):
    torch.manual_seed(0)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(1)
        critic = ValueEnsemble(embed_dim=5, num_members=2, hidden_dim=8, num_layers=1).eval().requires_grad_(False)
        policy = (
            MLPPolicy(embed_dim=5, bounds=free_bounds(BoxActions.unit(3)), hidden_dim=8, num_layers=1)
            .eval()
            .requires_grad_(False)
        )

    def make(**parts):
        return OnlineActor(learner=learner_of(critic), **parts) if learns else Actor(**parts)

    return make_actor(
        actor=make,
        policy=policy,
        critic=critic,
        mode=mode,
        rules=[
            {"name": "sure", "when": {"cost_to_go_above": 1e9}, "then": {}},
            {"name": "else", "when": {}, "then": {}},
        ],
    )


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("mode", ["hybrid", "reactive"])
@pytest.mark.parametrize("host", HOSTS)
def test_an_agent_acts_the_same_to_the_last_bit_whatever_its_host_has_set(make_actor, host, mode, learns):
    expected = act(build(make_actor, learns=learns, mode=mode))
    actor = build(make_actor, learns=learns, mode=mode)
    with HOSTS[host]():
        before = settings()
        found = act(actor)
        assert settings() == before
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("host", HOSTS)
def test_an_agent_that_a_host_has_built_acts_as_any_other(make_actor, host):
    expected = act(build(make_actor, learns=False))
    with HOSTS[host]():
        actor = build(make_actor, learns=False)
    assert np.array_equal(act(actor), expected)


def test_readings_may_be_tensors_with_gradients(make_actor):
    expected = act(build(make_actor, learns=False))
    assert np.array_equal(act(build(make_actor, learns=False), show=with_gradient), expected)
