import gymnasium
import numpy as np
import pytest

import envs  # noqa: F401
from envs.arm.push import MIN_START_DISTANCE, SUCCESS_RADIUS
from envs.arm.push_oriented import MAX_TURN, SUCCESS_ANGLE, PushOrientedEnv
from envs.arm.task import PushTask
from envs.episodes.rollout import rollout


@pytest.fixture(scope="module")
def env() -> PushOrientedEnv:
    return gymnasium.make("jepa-mpc/PushOriented-v0").unwrapped


def flat_goal(x, y, degrees):
    return np.array([x, y, np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


def place_block(env, x, y, degrees):
    half = np.radians(degrees) / 2
    env.data.joint("block").qpos[:] = [x, y, 0.035, np.cos(half), 0, 0, np.sin(half)]
    env.control.refresh()


def test_scene_sensors_and_physics_are_those_of_push(env):
    push = gymnasium.make("jepa-mpc/Push-v0").unwrapped
    ours, theirs = env.description, push.description
    assert (ours.fingerprint, ours.sensors, ours.effector) == (theirs.fingerprint, theirs.sensors, theirs.effector)
    assert list(ours.goal) == ["block_position", "block_orientation"]
    assert ours.goal["block_position"] == theirs.goal["block_position"]
    env.reset(seed=0)
    push.reset(seed=0, options={"state": env.get_state()})
    for action in np.random.default_rng(0).uniform(-1, 1, (20, 2)).astype(np.float32):
        np.testing.assert_array_equal(env.step(action)[0]["observation"], push.step(action)[0]["observation"])


def test_a_goal_asks_for_the_place_and_the_whole_orientation_of_a_lying_block(env):
    goals = np.stack([flat_goal(0.5, 0.1, 30), flat_goal(0.4, -0.2, -160)])
    readings = env.goal_observation(goals)
    assert list(readings) == ["block_position", "block_orientation"]
    for index, (x, y, degrees) in enumerate([(0.5, 0.1, 30), (0.4, -0.2, -160)]):
        env.reset(seed=0)
        place_block(env, x, y, degrees)
        sensors = env.split_observation(env._observe())
        for name, reading in readings.items():
            np.testing.assert_allclose(reading[index], sensors[name], atol=1e-6)
            np.testing.assert_array_equal(env.goal_observation(goals[index])[name], reading[index])


@pytest.mark.parametrize(
    ("x", "degrees", "reached"),
    [
        (0.5, 50, True),
        (0.549, 59.9, True),
        (0.549, 40.1, True),
        (0.551, 50, False),
        (0.5, 60.1, False),
        (0.5, 230, False),
    ],
)
def test_success_needs_place_and_orientation(env, x, degrees, reached):
    achieved, desired = flat_goal(x, 0.0, degrees), flat_goal(0.5, 0.0, 50)
    assert env.compute_reward(achieved, desired, {}) == (0.0 if reached else -1.0)
    env.reset(seed=0, options={"goal": desired})
    place_block(env, x, 0.0, degrees)
    assert env._judged(env._observe())["is_success"] == reached


def test_distance_is_of_the_place_alone_and_the_angle_of_the_orientation_alone(env):
    achieved = np.stack([flat_goal(0.5, 0.0, degrees) for degrees in (0, 90, 170, -170)])
    desired = flat_goal(0.53, 0.04, 175)
    np.testing.assert_allclose(env.distance_to_goal(achieved, desired), 0.05, atol=1e-6)
    np.testing.assert_allclose(env.angle_to_goal(achieved, desired), np.radians([175, 85, 5, 15]), atol=1e-6)


def test_where_a_goal_is_a_place_no_angle_is_left(env):
    push = gymnasium.make("jepa-mpc/Push-v0").unwrapped
    assert set(push.reset(seed=0)[1]["distances"]) == {"block_position"}
    assert set(env.reset(seed=0)[1]["distances"]) == {"block_position", "block_orientation"}


def test_starts_lie_apart_and_are_turned_evenly_up_to_45_degrees(env):
    resets = [env.reset(seed=seed) for seed in range(1000)]
    achieved, desired = (np.array([r[0][key] for r in resets]) for key in ("achieved_goal", "desired_goal"))
    np.testing.assert_allclose(np.hypot(*desired[:, 2:].T), 1, atol=1e-6)
    assert env.distance_to_goal(achieved, desired).min() >= MIN_START_DISTANCE - 1e-6
    turn = np.arctan2(achieved[:, 3], achieved[:, 2]) - np.arctan2(desired[:, 3], desired[:, 2])
    turn = (turn + np.pi) % (2 * np.pi) - np.pi
    assert np.abs(turn).max() <= MAX_TURN + 1e-6
    for angles, half_range in ((turn, MAX_TURN), (np.arctan2(desired[:, 3], desired[:, 2]), np.pi)):
        counts = np.histogram(angles, bins=10, range=(-half_range, half_range))[0]
        assert ((counts - 100) ** 2 / 100).sum() < 27.9  # chi-square with 9 degrees of freedom, p = 0.001
    assert not any(info["redrawn"] or info["is_success"] for _, info in resets)


def test_a_given_goal_is_the_goal_and_needs_one_angle(env):
    goal = flat_goal(0.6, 0.2, 77)
    np.testing.assert_array_equal(env.reset(seed=0, options={"goal": goal})[0]["desired_goal"], goal)
    with pytest.raises(ValueError, match=r"ends with the cosine and the sine of the block's yaw, got \[0.5 0.5\]"):
        env.reset(options={"goal": [0.6, 0.2, 0.5, 0.5]})
    with pytest.raises(ValueError, match="lies between"):
        env.reset(options={"goal": flat_goal(0.9, 0.2, 77)})


def episodes(env, expert):
    task = PushTask(env)
    return [rollout(task, expert, seed=seed, num_steps=task.spec.num_steps) for seed in range(40)]


def test_the_expert_reaches_every_goal_and_stays(env):
    assert all(episode.is_success[-5:].all() for episode in episodes(env, env.expert()))


def test_who_only_pushes_misses_most_orientations(env):
    pushed = episodes(env, gymnasium.make("jepa-mpc/Push-v0").unwrapped.expert())
    ends = [[verdict.distances["block_position"][0] for verdict in episode.verdicts[-5:]] for episode in pushed]
    assert sum(max(end) <= SUCCESS_RADIUS for end in ends) >= 38
    assert sum(episode.is_success[-5:].all() for episode in pushed) <= 20


def test_the_limits_are_the_promised_ones(env):
    assert (env.success_radius, round(np.degrees(SUCCESS_ANGLE)), round(np.degrees(MAX_TURN))) == (0.05, 10, 45)
