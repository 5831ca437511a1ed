"""What every environment in configs/env promises, whoever wrote it."""

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from agent.evaluation.seeds import episode_seeds
from agent.run.config.composing import compose_config, group_names
from envs.episodes.rollout import rollout
from envs.spec import TaskSpec


@pytest.fixture(params=group_names()["env"])
def env(request):
    made = gymnasium.make(compose_config([f"env={request.param}"]).values.env.env_id).unwrapped
    yield made
    made.close()


class Recorded:
    """Plays recorded actions back."""

    def __init__(self, actions):
        self._actions = iter(actions)

    def reset(self, goal, *, seed):
        """There is nothing to forget."""

    def act(self, observation):
        return next(self._actions)


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
    assert set(goal) < set(sensors) == set(env.description.sensors)
    for name, reading in goal.items():
        box = env.description.goal[name]
        assert reading.shape == sensors[name].shape
        assert (np.float32(box.low) <= reading).all() and (reading <= np.float32(box.high)).all()


def test_an_episode_is_a_pure_function_of_seed_and_actions(env):
    actions = random_actions(env, 30)
    first = rollout(env, Recorded(actions), seed=3, num_steps=30)
    rollout(env, Recorded(actions), seed=4, num_steps=30)
    again = rollout(env, Recorded(actions), seed=3, num_steps=30)
    for name, readings in first.observations.items():
        assert np.array_equal(again.observations[name], readings)


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


def test_evaluation_starts_are_not_solved_and_the_expert_solves_them(env):
    for seed in episode_seeds("validation", 5):
        episode = rollout(env, env.expert(), seed=seed, num_steps=env.description.num_steps)
        assert not episode.is_success[0]
        assert episode.distance_to_goal[0] >= 0.1
        assert episode.is_success[-5:].all()
