import json
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.typing import NDArray

import envs  # noqa: F401
from envs.arm.mujoco_env import MujocoEnv
from envs.registration import register_envs
from envs.spec import TaskSpec

TASKS = ["jepa-mpc/Reach-v0", "jepa-mpc/Push-v0"]


@pytest.fixture(params=TASKS)
def env(request: pytest.FixtureRequest) -> MujocoEnv:
    return gymnasium.make(request.param).unwrapped


def random_actions(env: MujocoEnv, num_steps: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1, 1, (num_steps, *env.action_space.shape)).astype(np.float32)


def test_gymnasium_has_nothing_to_complain_about(env: MujocoEnv) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)
        wrapped = gymnasium.make(env.env_id)
        wrapped.reset(seed=0)
        for action in random_actions(env, env.description.num_steps):
            truncated = wrapped.step(action)[3]
    assert truncated


def test_episodes_are_cut_by_the_time_limit_and_never_terminate(env: MujocoEnv) -> None:
    wrapped = gymnasium.make(env.env_id)
    observation, _ = wrapped.reset(seed=1)
    expert = wrapped.unwrapped.expert()
    expert.reset(env.goal_observation(observation["desired_goal"]), seed=1)
    ends = []
    for _ in range(env.description.num_steps):
        action = expert.act(env.split_observation(observation["observation"]))
        observation, _, terminated, truncated, _ = wrapped.step(action)
        assert not terminated
        ends.append(truncated)
    assert ends == [False] * (env.description.num_steps - 1) + [True]


def test_the_module_name_before_the_id_registers_the_tasks_in_a_fresh_interpreter() -> None:
    script = "import gymnasium; print(gymnasium.make('envs:jepa-mpc/Reach-v0').spec.id)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "jepa-mpc/Reach-v0"


def test_importing_the_package_loads_no_simulator() -> None:
    script = "import sys, envs; print('mujoco' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_registering_twice_changes_nothing() -> None:
    before = dict(gymnasium.registry)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_envs()
    assert gymnasium.registry == before


def test_a_restored_state_continues_bit_for_bit(env: MujocoEnv) -> None:
    env.reset(seed=3)
    actions = random_actions(env, 40)
    for action in actions[:10]:
        env.step(action)
    state = env.get_state()
    first = [env.step(action)[0]["observation"] for action in actions[10:]]
    env.reset(seed=4)
    env.set_state(state)
    second = [env.step(action)[0]["observation"] for action in actions[10:]]
    np.testing.assert_array_equal(first, second)


def test_another_process_worth_of_simulator_continues_a_state_bit_for_bit(env: MujocoEnv) -> None:
    env.reset(seed=3)
    actions = random_actions(env, 30)
    for action in actions[:10]:
        env.step(action)
    other = gymnasium.make(env.env_id).unwrapped
    other.reset(seed=9, options={"state": env.get_state()})
    for action in actions[10:]:
        np.testing.assert_array_equal(env.step(action)[0]["observation"], other.step(action)[0]["observation"])


def test_setting_a_state_leaves_the_goal(env: MujocoEnv) -> None:
    env.reset(seed=0)
    state = env.get_state()
    goal = env.reset(seed=1)[0]["desired_goal"]
    env.set_state(state)
    np.testing.assert_array_equal(env.step(random_actions(env, 1)[0])[0]["desired_goal"], goal)


def test_the_same_seed_gives_the_same_episode_and_another_seed_another(env: MujocoEnv) -> None:
    def episode(seed: int) -> list[NDArray[np.float32]]:
        start = env.reset(seed=seed)[0]
        steps = [env.step(action)[0]["observation"] for action in random_actions(env, 20)]
        return [start["desired_goal"], start["observation"], *steps]

    first, again, other = episode(5), episode(5), episode(6)
    for left, right in zip(first, again, strict=True):
        np.testing.assert_array_equal(left, right)
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[1], other[1])


def test_a_start_does_not_depend_on_the_episode_before(env: MujocoEnv) -> None:
    fresh = gymnasium.make(env.env_id).unwrapped.reset(seed=7)[0]
    env.reset(seed=2)
    for action in random_actions(env, 20):
        env.step(action)
    np.testing.assert_array_equal(env.reset(seed=7)[0]["observation"], fresh["observation"])


def test_the_arm_starts_at_rest(env: MujocoEnv) -> None:
    for seed in range(20):
        start = env.split_observation(env.reset(seed=seed)[0]["observation"])
        assert not start["joint_velocity"].any()
        still = env.step(np.zeros(env.action_space.shape, np.float32))[0]["observation"]
        np.testing.assert_allclose(env.split_observation(still)["tip"], start["tip"], atol=1e-3)


def test_the_next_observation_depends_on_the_measured_tip_alone(env: MujocoEnv) -> None:
    """A displacement that was cut short leaves nothing behind: the arm stays where it is."""
    env.reset(seed=0)
    for action in random_actions(env, 20):
        env.step(action)
    for _ in range(4):
        env.step(np.zeros(env.action_space.shape, np.float32))
    rest = env.data.site("tip").xpos.copy()
    env.step(np.zeros(env.action_space.shape, np.float32))
    np.testing.assert_allclose(env.data.site("tip").xpos, rest, atol=1e-4)


@pytest.mark.parametrize("scale", [1.0, 3.0, 1e6])
def test_the_norm_of_an_action_is_cut_and_not_its_axes(env: MujocoEnv, scale: float) -> None:
    env.reset(seed=0)
    state = env.get_state()
    action = np.ones(env.action_space.shape, np.float32)
    expected = env.step(action / np.sqrt(action.size, dtype=np.float32))[0]["observation"]
    env.set_state(state)
    np.testing.assert_allclose(env.step(scale * action)[0]["observation"], expected, atol=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_action_that_is_not_finite_is_refused(env: MujocoEnv, bad: float) -> None:
    env.reset(seed=0)
    state = env.get_state()
    action = np.zeros(env.action_space.shape, np.float32)
    action[0] = bad
    with pytest.raises(ValueError, match="an action must be finite, got"):
        env.step(action)
    np.testing.assert_array_equal(env.get_state(), state)


def test_an_action_of_another_size_is_refused(env: MujocoEnv) -> None:
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"has shape \(\d,\), got \(5,\)"):
        env.step(np.zeros(5, np.float32))


def test_a_given_goal_is_the_goal(env: MujocoEnv) -> None:
    goal = env.observation_space["desired_goal"].high - np.float32(0.01)
    np.testing.assert_array_equal(env.reset(seed=0, options={"goal": goal})[0]["desired_goal"], goal)


def test_a_goal_outside_its_box_is_refused(env: MujocoEnv) -> None:
    space = env.observation_space["desired_goal"]
    for goal in [space.high + 0.01, np.full(space.shape, np.nan), np.zeros(5)]:
        with pytest.raises(ValueError, match="lies between"):
            env.reset(options={"goal": goal})


def test_an_unknown_option_or_a_broken_state_is_refused(env: MujocoEnv) -> None:
    with pytest.raises(ValueError, match=r"goal and state, got \['gaol'\]"):
        env.reset(options={"gaol": 1})
    state = env.get_state()
    for broken in [state[:-1], np.full_like(state, np.nan)]:
        with pytest.raises(ValueError, match=f"is {state.size} finite numbers"):
            env.set_state(broken)


def test_rewards_are_success_and_can_be_computed_in_batches(env: MujocoEnv) -> None:
    observation, _ = env.reset(seed=0)
    expert = env.expert()
    expert.reset(env.goal_observation(observation["desired_goal"]), seed=0)
    achieved, desired, rewards, successes = [], [], [], []
    for _ in range(env.description.num_steps):
        action = expert.act(env.split_observation(observation["observation"]))
        observation, reward, _, _, info = env.step(action)
        achieved.append(observation["achieved_goal"])
        desired.append(observation["desired_goal"])
        rewards.append(reward)
        successes.append(info["is_success"])
    assert rewards == [0.0 if success else -1.0 for success in successes]
    assert set(successes) == {False, True}
    np.testing.assert_array_equal(env.compute_reward(np.array(achieved), np.array(desired), {}), rewards)
    distances = env.distance_to_goal(np.array(achieved), np.array(desired))
    np.testing.assert_array_equal(distances <= env.success_radius, successes)
    expected = np.linalg.norm(np.array(achieved, np.float64) - np.array(desired, np.float64), axis=-1)
    np.testing.assert_allclose(distances, expected, atol=1e-6)


def test_a_solved_start_is_redrawn_and_counted(env: MujocoEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, True, False, False])
    monkeypatch.setattr(env, "_judged", lambda observation: {"is_success": next(answers)})
    assert env.reset(seed=0)[1]["redrawn"] == 2


def test_sensors_split_over_any_leading_dimensions(env: MujocoEnv) -> None:
    flat = np.arange(2 * 3 * env.observation_space["observation"].shape[0], dtype=np.float32).reshape(2, 3, -1)
    parts = env.split_observation(flat)
    assert {name: part.shape for name, part in parts.items()} == {
        name: (2, 3, *shape) for name, shape in env.description.shapes.items()
    }
    np.testing.assert_array_equal(np.concatenate(list(parts.values()), axis=-1), flat)


def test_a_goal_asks_for_one_of_the_sensors_and_is_what_it_reads_there(env: MujocoEnv) -> None:
    observation, _ = env.reset(seed=0)
    goal = env.goal_observation(observation["achieved_goal"])
    assert list(goal) == list(env.description.goal)
    for name, reading in goal.items():
        np.testing.assert_allclose(reading, env.split_observation(observation["observation"])[name], atol=1e-6)
        batched = env.goal_observation(np.stack([observation["achieved_goal"]] * 4))[name]
        np.testing.assert_array_equal(batched, np.stack([reading] * 4))


def test_the_description_survives_json(env: MujocoEnv) -> None:
    assert TaskSpec.from_json(json.loads(json.dumps(env.description.to_json()))) == env.description
    assert env.description.task_id == env.spec.id
    assert env.description.num_steps == gymnasium.spec(env.env_id).max_episode_steps
    assert env.description.action_dim == env.action_space.shape[0]
    assert len(env.description.fingerprint) == 64


def test_state_observations_need_no_graphics_library(env: MujocoEnv) -> None:
    script = f"""
import sys
sys.modules["OpenGL"] = sys.modules["glfw"] = None
import gymnasium
env = gymnasium.make("envs:{env.env_id}")
env.reset(seed=0)
print(env.step(env.action_space.sample())[1])
"""
    for backend in ("", "disabled", "egl", "osmesa"):
        environment = {"MUJOCO_GL": backend, "PATH": ""}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "-1.0"


def test_an_unknown_render_mode_is_refused(env: MujocoEnv) -> None:
    with pytest.raises(ValueError, match="None or \"rgb_array\", got 'human'"):
        type(env)(render_mode="human")


def test_nothing_is_drawn_without_a_render_mode(env: MujocoEnv) -> None:
    env.reset(seed=0)
    assert env.render() is None
