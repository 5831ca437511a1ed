import math

import mujoco
import numpy as np
import pytest

import envs  # noqa: F401
from envs.arm.task import make_task
from envs.types import Viewable

TASKS = ["Reach", "ReachGate", "Push", "PushOriented", "PushSlippery", "PushTwo"]
SEED = 5


def opened(name, seed=SEED):
    """Returns a task at the start of an episode, its frame, and its scene as people see it."""
    task = make_task(env_id=f"jepa-mpc/{name}-v0", vision=None, film_size=None)
    frame = task.reset(seed)
    scene = mujoco.MjData(task.scene())
    task.show(scene)
    return task, frame, scene


def handle(scene, sensor):
    return int(scene.model.body(f"goal_{sensor}").mocapid[0])


def still(task):
    return np.zeros(task.spec.actions.action_dim, np.float32)


@pytest.mark.parametrize("name", TASKS)
def test_a_scene_shows_the_world_and_the_goal_as_they_are(name):
    task, frame, scene = opened(name)
    assert isinstance(task, Viewable)
    for _ in range(3):
        task.step(np.full(task.spec.actions.action_dim, 0.5, np.float32))
    task.show(scene)
    world = task.env.model.nbody
    np.testing.assert_allclose(scene.xpos[:world], task.env.data.xpos, atol=1e-12)
    np.testing.assert_allclose(scene.xmat[:world], task.env.data.xmat, atol=1e-12)
    for sensor, wished in frame.goal.items():
        if task.spec.sensors[sensor].unit == "m":
            np.testing.assert_allclose(scene.mocap_pos[handle(scene, sensor)], wished, atol=1e-7)
    assert task.drag(scene) is None  # nobody has dragged anything


@pytest.mark.parametrize("name", TASKS)
def test_looking_changes_nothing_of_the_episode(name):
    shown, _, scene = opened(name)
    alone = make_task(env_id=f"jepa-mpc/{name}-v0", vision=None, film_size=None)
    alone.reset(SEED)
    for action in np.random.default_rng(0).uniform(-1, 1, (10, shown.spec.actions.action_dim)).astype(np.float32):
        shown.feel(scene)
        assert shown.drag(scene) is None
        frame, other = shown.step(action), alone.step(action)
        shown.show(scene)
        for sensor, reading in other.readings.items():
            np.testing.assert_array_equal(frame.readings[sensor], reading)
        assert frame.verdict == other.verdict


@pytest.mark.parametrize("name", TASKS)
def test_a_dragged_goal_is_the_goal_from_then_on_and_lies_where_goals_may(name):
    task, frame, scene = opened(name)
    sensor = next(iter(frame.goal))
    box = task.spec.goal[sensor]
    middle = np.mean([box.low, box.high], axis=0)
    scene.mocap_pos[handle(scene, sensor)] += 0.3 * (middle - frame.goal[sensor])
    told = task.drag(scene)
    expected = frame.goal[sensor] + 0.3 * (middle - frame.goal[sensor])
    np.testing.assert_allclose(told[sensor], expected, atol=1e-6)
    np.testing.assert_array_equal(task.wish()[sensor], told[sensor])
    stepped = task.step(still(task))
    np.testing.assert_array_equal(stepped.goal[sensor], told[sensor])
    assert stepped.verdict.distances != frame.verdict.distances

    task.show(scene)
    scene.mocap_pos[handle(scene, sensor)] += 10  # far beyond
    np.testing.assert_allclose(task.drag(scene)[sensor], box.high, atol=1e-6)
    assert task.drag(scene) is None  # it is there already


def test_a_goal_with_a_direction_is_turned_by_its_handle():
    task, frame, scene = opened("PushOriented")
    before = np.arctan2(frame.goal["block_orientation"][1], frame.goal["block_orientation"][0])
    index, yaw = handle(scene, "block_position"), before + 0.7
    scene.mocap_quat[index] = math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)
    cos, sin = math.cos(yaw), math.sin(yaw)
    told = task.drag(scene)
    np.testing.assert_allclose(told["block_orientation"], [cos, sin, 0, -sin, cos, 0], atol=1e-6)
    np.testing.assert_array_equal(told["block_position"], frame.goal["block_position"])
    task.show(scene)
    assert task.drag(scene) is None


def test_two_goals_cannot_be_dragged_into_each_other():
    seed = next(seed for seed in range(50) if len(opened("PushTwo", seed)[1].goal) == 2)
    task, frame, scene = opened("PushTwo", seed)
    scene.mocap_pos[handle(scene, "block_position")] = frame.goal["second_block_position"]
    assert task.drag(scene) is None
    np.testing.assert_array_equal(task.wish()["block_position"], frame.goal["block_position"])


def test_what_a_goal_does_not_ask_for_has_no_handle_in_sight():
    seed = next(seed for seed in range(50) if len(opened("PushTwo", seed)[1].goal) == 1)
    _, frame, scene = opened("PushTwo", seed)
    (other,) = {"block_position", "second_block_position"} - set(frame.goal)
    assert scene.mocap_pos[handle(scene, other), 2] < -1


def pull(scene, body, by):
    """Does what MuJoCo's viewer does where the mouse pulls a body at its top, from where it is, by `[3]`, m."""
    pull = mujoco.MjvPerturb()
    pull.select, pull.active = scene.body(body).id, int(mujoco.mjtPertBit.mjPERT_TRANSLATE)
    pull.localpos, pull.localmass = [0, 0, 0.03], scene.model.body(body).mass[0]
    pull.refpos = scene.body(body).xpos + by
    pull.refselpos = pull.refpos + np.array([0, 0, 0.03])
    scene.xfrc_applied[:] = 0
    mujoco.mjv_applyPerturbForce(scene.model, scene, pull)


def test_a_pull_moves_the_block_along_and_it_does_not_topple():
    task, _, scene = opened("Push")
    before = task.env.block_position()
    for _ in range(20):
        pull(scene, "block", np.array([0.0, 0.1, 0.0]))
        task.feel(scene)
        task.step(still(task))
        task.show(scene)
    moved = task.env.block_position() - before
    assert moved[1] > 0.05 and abs(moved[0]) < 0.01
    assert task.env.data.body("block").xmat[8] > 0.99  # upright


def test_a_pull_ends_with_the_mouse_and_with_the_episode():
    task, _, scene = opened("Push")
    pull(scene, "block", np.array([0.0, 0.1, 0.0]))
    task.feel(scene)
    assert np.abs(task.env.data.xfrc_applied).max() > 0.1
    task.reset(SEED)
    assert not task.env.data.xfrc_applied.any()
    scene.xfrc_applied[:] = 0
    task.feel(scene)
    assert not task.env.data.xfrc_applied.any()
