"""What the environments of our arm promise to whoever makes them by Gymnasium."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs.spec import TaskSpec


@pytest.fixture(params=["Reach-v0", "Push-v0", "PushOriented-v0", "PushSlippery-v0", "PushTwo-v0", "ReachGate-v0"])
def env(request):
    made = gymnasium.make(f"envs:jepa-mpc/{request.param}").unwrapped
    yield made
    made.close()


def random_actions(env, num_steps):
    return np.random.default_rng(0).uniform(-1, 1, (num_steps, env.description.action_dim)).astype(np.float32)


def test_it_is_a_gymnasium_environment(env):
    check_env(env, skip_render_check=True)


def test_it_keeps_the_contract_of_goal_environments(env):
    observation, info = env.reset(seed=0)
    assert set(observation) == {"observation", "achieved_goal", "desired_goal"}
    assert {"is_success", "redrawn"} <= set(info)
    achieved, desired = [], []
    for action in random_actions(env, 20):
        observation, reward, terminated, truncated, info = env.step(action)
        goals = observation["achieved_goal"], observation["desired_goal"]
        assert reward == env.compute_reward(*goals, info) == (0.0 if info["is_success"] else -1.0)
        assert not terminated and not truncated
        achieved.append(goals[0])
        desired.append(goals[1])
    batched = env.compute_reward(np.array(achieved), np.array(desired), {})
    assert batched.shape == (20,)
    assert env.compute_reward(observation["desired_goal"], observation["desired_goal"], {}) == 0.0


def test_its_description_is_plain_data_that_survives_json(env):
    assert TaskSpec.from_json(env.description.to_json()) == env.description


def test_the_goal_is_a_partial_observation(env):
    observation, _ = env.reset(seed=0)
    goal = env.goal_observation(observation["desired_goal"])
    sensors = env.split_observation(observation["observation"])
    assert set(goal) < set(sensors) == set(env.description.perceived)
    for name, reading in goal.items():
        box = env.description.goal[name]
        assert reading.shape == sensors[name].shape
        assert (np.float32(box.low) <= reading).all() and (reading <= np.float32(box.high)).all()


def test_a_restored_state_goes_on_to_the_last_bit(env):
    actions = random_actions(env, 40)
    env.reset(seed=5)
    for action in actions[:20]:
        env.step(action)
    state = env.get_state()
    expected = [env.step(action)[0]["observation"] for action in actions[20:]]
    env.reset(seed=6)
    env.set_state(state)
    assert all(
        np.array_equal(env.step(action)[0]["observation"], observation)
        for action, observation in zip(actions[20:], expected, strict=True)
    )
