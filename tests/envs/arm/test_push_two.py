import gymnasium
import numpy as np
import pytest

from envs.arm.exploration import ContactSeeking
from envs.arm.push import BLOCK_AREA, MIN_START_DISTANCE, SUCCESS_RADIUS, TIP_CLEARANCE
from envs.arm.push_two import MIN_SPACING, PLACES, PushTwoEnv
from envs.arm.task import make_task
from envs.episodes.rollout import rollout
from envs.vision import Vision

FIRST, SECOND = PLACES


@pytest.fixture(scope="module")
def env() -> PushTwoEnv:
    return gymnasium.make("envs:jepa-mpc/PushTwo-v0").unwrapped


@pytest.fixture(scope="module")
def task():
    return make_task(env_id="jepa-mpc/PushTwo-v0", vision=None, film_size=None)


@pytest.fixture(scope="module")
def frames(task):
    return [task.reset(seed) for seed in range(600)]


def test_goals_ask_for_either_block_or_for_both_as_often_as_each_other(frames):
    kinds = [tuple(frame.goal) for frame in frames]
    for kind in ((FIRST,), (SECOND,), PLACES):
        assert kinds.count(kind) / len(frames) == pytest.approx(1 / 3, abs=0.07)


def test_starts_and_goals_lie_apart_and_leave_room(frames):
    low, high = (np.array(corner[:2], np.float32) for corner in (BLOCK_AREA.low, BLOCK_AREA.high))
    for frame in frames:
        blocks = {name: frame.readings[name][:2] for name in PLACES}
        goals = {name: wished[:2] for name, wished in frame.goal.items()}
        for place in (*blocks.values(), *goals.values()):
            assert (low - 1e-6 <= place).all() and (place <= high + 1e-6).all()
        assert np.linalg.norm(blocks[FIRST] - blocks[SECOND]) >= MIN_SPACING - 1e-6
        for name, goal in goals.items():
            for other, block in blocks.items():
                least = MIN_START_DISTANCE if name == other else MIN_SPACING
                assert np.linalg.norm(block - goal) >= least - 1e-6
        if len(goals) == 2:
            assert np.linalg.norm(goals[FIRST] - goals[SECOND]) >= MIN_SPACING - 1e-6
        for block in blocks.values():
            assert np.linalg.norm(frame.readings["tip"][:2] - block) >= TIP_CLEARANCE - 1e-3


def test_starts_touch_nothing(task):
    for seed in range(30):
        task.reset(seed)
        assert task.env.clearance() > 0


def place(env, first, second):
    for name, (x, y) in zip(("block", "second_block"), (first, second), strict=True):
        env.data.joint(name).qpos[:2] = x, y
    env.control.refresh()
    return env._judged(env._observe())


@pytest.mark.parametrize(
    ("goal", "first", "second", "left"),
    [
        ([0.5, -0.1, 0, 0], (0.5, -0.06), (0.4, 0.2), 0.04),  # where the other lies does not matter
        ([0.5, -0.1, 0, 0], (0.5, 0.0), (0.5, -0.1), 0.10),
        ([0, 0, 0.5, 0.1], (0.4, -0.2), (0.5, 0.07), 0.03),
        ([0.5, -0.1, 0.5, 0.1], (0.5, -0.08), (0.5, 0.06), 0.04),
        ([0.5, -0.1, 0.5, 0.1], (0.5, -0.08), (0.5, 0.04), 0.06),  # one is not enough
        ([0.5, -0.1, 0.5, 0.1], (0.5, -0.04), (0.5, 0.1), 0.06),
    ],
)
def test_success_means_each_block_that_is_asked_for(env, goal, first, second, left):
    env.reset(seed=0, options={"goal": goal})
    judged = place(env, first, second)
    assert judged["distances"]["farthest_block"] == pytest.approx(left, abs=1e-6)
    assert judged["is_success"] == (left <= SUCCESS_RADIUS)


def test_many_goals_are_judged_at_once_each_by_what_it_asks_for(env):
    desired = np.float32([[0.5, -0.1, 0, 0], [0, 0, 0.5, 0.1], [0.5, -0.1, 0.5, 0.1]])
    achieved = np.float32([0.5, -0.1, 0.5, 0.2])
    np.testing.assert_allclose(env.distance_to_goal(achieved, desired), [0.0, 0.1, 0.1], atol=1e-6)
    np.testing.assert_array_equal(env.compute_reward(np.tile(achieved, (3, 1)), desired, {}), [0, -1, -1])


@pytest.mark.parametrize("goal", [[0.5, -0.1, 0, 0], [0, 0, 0.5, 0.1], [0.5, -0.1, 0.5, 0.1]])
def test_what_a_goal_does_not_ask_for_it_does_not_name(env, goal):
    wish = env.goal_observation(np.float32(goal))
    assert list(wish) == [name for name, x in zip(PLACES, goal[::2], strict=True) if x]
    np.testing.assert_array_equal(env.flat_goal(wish), np.float32(goal))
    state, _ = env.reset(seed=0, options={"goal": goal})
    np.testing.assert_array_equal(state["desired_goal"], np.float32(goal))


@pytest.mark.parametrize(
    "goal",
    [[0, 0, 0, 0], [0.2, 0, 0, 0], [0.5, 0.1, 0, 0.1], [0.5, 0.1, 0.5, 0.2], [0.5, 0.1, 0.9, 0], [0.5, 0.1]],
)
def test_a_goal_that_is_none_is_refused(env, goal):
    with pytest.raises(ValueError, match="a goal of jepa-mpc/PushTwo-v0"):
        env.reset(seed=0, options={"goal": goal})


def test_the_blocks_have_the_same_physics_and_touch_each_other(env):
    assert np.array_equal(*env.model.dof_damping[7:].reshape(2, 6))
    assert env.model.body("block").mass == env.model.body("second_block").mass
    env.reset(seed=0)
    env.data.qvel[:] = 0
    for pose, x in ((env._block_pose, 0.45), (env._second_pose, 0.53)):
        pose[:] = x, 0.0, 0.035, 1, 0, 0, 0
    env.control.place(np.array([0.37, 0.0, 0.03]))
    env.control.refresh()
    for _ in range(6):
        readings = env.split_observation(env.step(np.float32([1, 0]))[0]["observation"])
    assert readings[SECOND][0] > 0.57 and readings["second_block_velocity"][0] > 0.1
    assert readings[SECOND][0] - readings[FIRST][0] > 0.068


def test_the_expert_reaches_every_goal_and_stays(task):
    for seed in range(20):
        episode = rollout(task, task.expert(), seed=seed, num_steps=task.spec.num_steps)
        assert episode.is_success[-5:].all()


def test_what_is_reported_says_which_blocks_were_asked_for_and_sees_both_move(task):
    for seed in range(6):
        episode = rollout(task, task.expert(), seed=seed, num_steps=40)
        measures = task.measures(episode.observations)
        assert {name for name in PLACES if measures[f"{name}_asked"]} == set(task.wish())
        assert measures["block_moving"] > 0


def test_a_shove_moves_the_first_block_that_is_asked_for_and_never_into_the_other(task):
    kinds = set()
    for seed in range(12):
        frame = task.reset(seed)
        moved = next(iter(frame.goal))
        kinds.add(moved)
        center = np.array([0.525, 0.0]) - frame.readings[moved][:2]
        before = task.look()
        if task.displace(0.03 * center / np.linalg.norm(center)):
            after = task.look()
            for name in PLACES:
                assert np.linalg.norm(after[name] - before[name]) == pytest.approx(0.03 * (name == moved), abs=1e-6)
        other = PLACES[1 - PLACES.index(moved)]
        task.reset(seed)
        assert not task.displace((frame.readings[other] - frame.readings[moved])[:2].astype(np.float64))
    assert kinds == set(PLACES)


def test_contact_seeking_finds_both_blocks(task):
    policy = ContactSeeking(
        task.spec,
        min_hold=2,
        max_hold=8,
        max_travel=20,
        hold_share=0.1,
        block_share=0.7,
        block_radius=0.09,
        margin=0.2,
        min_speed=0.2,
        max_jitter=0.3,
    )
    moved = np.zeros(2)
    for seed in range(25):
        readings = rollout(task, policy, seed=seed, num_steps=60).observations
        moved += [(np.linalg.norm(np.diff(readings[name], axis=0), axis=1) > 5e-4).mean() / 25 for name in PLACES]
    assert (moved > 0.04).all()


def test_the_picture_of_a_goal_leaves_no_two_things_in_one_place():
    vision = Vision(cameras=("fixed",), image_size=16, proprioception=False, backends=("raycast",))
    env = make_task(env_id="jepa-mpc/PushTwo-v0", vision=vision, film_size=None).env
    for seed in range(10):
        state, _ = env.reset(seed=seed)
        blocks, tip = (env.split_observation(state["observation"])[name][:2] for name in (SECOND, "tip"))
        for goal in (state["desired_goal"], [*blocks.clip(BLOCK_AREA.low[:2], BLOCK_AREA.high[:2]), 0, 0]):
            before = env.get_state()
            env._place_goal(np.float32(goal))
            env.control.refresh()
            assert env.clearance() > 0
            assert env.distance_to_goal(env._observe()[env._achieved], np.float32(goal)) < 1e-6
            env.set_state(before)
        assert tip is not None


def test_markers_show_what_is_asked_for(env):
    for goal, num_markers in (([0.5, -0.1, 0, 0], 1), ([0, 0, 0.5, 0.1], 2), ([0.5, -0.1, 0.5, 0.1], 3)):
        env.reset(seed=0, options={"goal": goal})
        assert len(env._markers()) == num_markers
