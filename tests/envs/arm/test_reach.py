import gymnasium
import numpy as np
import pytest

import envs  # noqa: F401
from envs.arm.mujoco_env import MujocoEnv
from envs.arm.reach import MIN_START_DISTANCE, SUCCESS_RADIUS, WORKSPACE, ReachEnv


@pytest.fixture(scope="module")
def env() -> ReachEnv:
    return gymnasium.make("jepa-mpc/Reach-v0").unwrapped


def success(env: MujocoEnv, seed: int, *, use_expert: bool) -> list[bool]:
    """Whether each step of an episode was a success."""
    generator = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    expert = env.expert()
    expert.reset(env.goal_observation(observation["desired_goal"]), seed=seed)
    successes = []
    for _ in range(env.description.num_steps):
        random = generator.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        action = expert.act(env.split_observation(observation["observation"])) if use_expert else random
        observation, _, _, _, info = env.step(action)
        successes.append(info["is_success"])
    return successes


def test_the_task_has_the_promised_size(env: ReachEnv) -> None:
    size = np.subtract(WORKSPACE.high, WORKSPACE.low)
    assert (size >= np.array([0.30, 0.50, 0.25]) - 1e-9).all()
    assert (MIN_START_DISTANCE, SUCCESS_RADIUS, env.description.num_steps) == (0.10, 0.02, 50)


def test_sensors_come_in_order_with_their_readings(env: ReachEnv) -> None:
    assert env.description.shapes == {"tip": (3,), "joint_position": (7,), "joint_velocity": (7,)}
    env.reset(seed=0)
    readings = env.split_observation(env.step(np.ones(3, np.float32))[0]["observation"])
    np.testing.assert_allclose(readings["tip"], env.data.site("tip").xpos, rtol=1e-6)
    np.testing.assert_allclose(readings["joint_position"], env.data.qpos, rtol=1e-6)
    np.testing.assert_allclose(readings["joint_velocity"], env.data.qvel, rtol=1e-6)


def test_starts_and_goals_fill_the_workspace_and_lie_apart(env: ReachEnv) -> None:
    resets = [env.reset(seed=seed) for seed in range(1000)]
    starts = np.array([observation["achieved_goal"] for observation, _ in resets])
    goals = np.array([observation["desired_goal"] for observation, _ in resets])
    size = np.subtract(WORKSPACE.high, WORKSPACE.low)
    for positions in (starts, goals):
        assert (np.ptp(positions, axis=0) >= 0.95 * size).all()
        assert (positions >= np.array(WORKSPACE.low) - 1e-4).all()
        assert (positions <= np.array(WORKSPACE.high) + 1e-4).all()
    assert np.linalg.norm(starts - goals, axis=1).min() >= MIN_START_DISTANCE - 1e-4
    assert not any(info["redrawn"] or info["is_success"] for _, info in resets)


def test_the_expert_reaches_every_goal_and_stays(env: ReachEnv) -> None:
    assert all(all(success(env, seed, use_expert=True)[-5:]) for seed in range(60))


def test_random_actions_do_not_get_there(env: ReachEnv) -> None:
    assert sum(all(success(env, seed, use_expert=False)[-5:]) for seed in range(60)) <= 3
