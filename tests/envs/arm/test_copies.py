"""A copy of an environment is a whole world of its own, however it is made."""

import copy
import pickle

import gymnasium
import numpy as np
import pytest

from envs.arm.task import make_task
from envs.vision import Vision

IDS = ["Reach-v0", "Push-v0", "PushOriented-v0", "PushSlippery-v0", "PushTwo-v0", "ReachGate-v0"]
COPIES = {
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda env: pickle.loads(pickle.dumps(env)),  # noqa: S301 - our own bytes
}


@pytest.fixture(params=IDS)
def env(request):
    made = gymnasium.make(f"envs:jepa-mpc/{request.param}").unwrapped
    yield made
    made.close()


def actions(env, num_steps=30, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (num_steps, env.description.action_dim)).astype(np.float32)


def flat(states):
    return np.array([np.concatenate([state["observation"], state["desired_goal"]]) for state in states])


def follow(env, some):
    return flat([env.step(action)[0] for action in some])


def arrays(owner):
    return {name: it for name, it in vars(owner).items() if isinstance(it, np.ndarray)}


def seen_arrays(data):
    return [data.qpos, data.qvel, data.site_xpos, data.site_xmat, data.xmat, data.ctrl]


@pytest.mark.parametrize("made", COPIES)
def test_a_copy_goes_on_as_the_original_does_and_neither_moves_the_other(env, made):
    env.reset(seed=3)
    before = follow(env, actions(env))
    other = COPIES[made](env)
    np.testing.assert_array_equal(other.get_state(), env.get_state())
    moved = follow(other, actions(env, seed=1))
    assert (moved[-1] != before[-1]).any()
    still = env._observe().copy()
    np.testing.assert_array_equal(still, before[-1][: len(still)])
    np.testing.assert_array_equal(follow(env, actions(env, seed=1)), moved)


@pytest.mark.parametrize("made", COPIES)
def test_a_copy_draws_what_the_original_would_and_starts_anew_from_a_seed(env, made):
    env.reset(seed=3)
    other = COPIES[made](env)
    np.testing.assert_array_equal(flat([other.reset()[0]]), flat([env.reset()[0]]))
    fresh = gymnasium.make(f"envs:{env.env_id}").unwrapped
    for seed in (7, 8):
        assert (flat([fresh.reset(seed=seed)[0]]) == flat([other.reset(seed=seed)[0]])).all()
        np.testing.assert_array_equal(follow(fresh, actions(env)), follow(other, actions(env)))


@pytest.mark.parametrize("made", COPIES)
def test_every_view_of_the_simulation_is_one_of_the_copys_own(env, made):
    env.reset(seed=3)
    other = COPIES[made](env)
    num_views = 0
    for ours, theirs in ((env, other), (env.control, other.control)):
        for name, array in arrays(ours).items():
            is_view = any(np.shares_memory(array, seen) for seen in seen_arrays(env.data))
            assert any(np.shares_memory(arrays(theirs)[name], seen) for seen in seen_arrays(other.data)) == is_view
            assert not np.shares_memory(array, arrays(theirs)[name])
            num_views += is_view
    assert num_views >= 6


def test_a_copy_of_a_camera_draws_with_a_renderer_of_its_own():
    seen = Vision(cameras=("fixed",), image_size=16, proprioception=True, backends=("raycast",))
    task = make_task(env_id="jepa-mpc/Push-v0", vision=seen, film_size=None)
    task.reset(0)
    other = copy.deepcopy(task)
    for action in actions(task.env, 20):
        frame, copied = task.step(action), other.step(action)
        np.testing.assert_array_equal(frame.readings["fixed_camera"], copied.readings["fixed_camera"])
    task.close()
    assert other.step(action).readings["fixed_camera"].any()


def test_copies_in_vectors_of_environments_are_worlds_of_their_own(env):
    env.reset(seed=3)
    follow(env, actions(env, 5))
    vectors = gymnasium.vector.AsyncVectorEnv([lambda: env, lambda: env], context="spawn")
    try:
        observations, _ = vectors.reset(seed=[7, 8])
        some = actions(env, 10)
        for action in some:
            observations, *_ = vectors.step(np.stack([action, -action]))
    finally:
        vectors.close()
    for index, (seed, sign) in enumerate(((7, 1), (8, -1))):
        fresh = gymnasium.make(f"envs:{env.env_id}").unwrapped
        fresh.reset(seed=seed)
        last = follow(fresh, sign * some)[-1]
        np.testing.assert_array_equal(
            observations["observation"][index], last[: len(observations["observation"][index])]
        )
