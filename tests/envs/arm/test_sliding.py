import gymnasium
import numpy as np
import pytest

import envs  # noqa: F401
from envs.arm.push import BLOCK_HALF_SIZE, TIP_HEIGHT
from envs.arm.sliding import FINGER_RADIUS, INCREMENT, distance_to_block, foresee, to_block, to_world, unit

CENTER = np.array([0.5, 0.0, 0.0])


def push(offset, heading=0.0, num_increments=12, block=CENTER):
    """Pushes on the left side at a height above its middle, from contact."""
    tip = to_world(np.array([-BLOCK_HALF_SIZE - FINGER_RADIUS, offset]), block)
    direction = unit(block[2] + heading)
    return foresee(block, tip[None], direction[None], num_increments=num_increments)[:, 0]


def test_a_push_through_the_centre_moves_the_block_as_far_as_the_finger_and_turns_nothing():
    poses = push(0.0)
    np.testing.assert_allclose(poses[:, 0], 0.5 + INCREMENT * np.arange(13), atol=1e-9)
    np.testing.assert_allclose(poses[:, 1:], 0, atol=1e-9)


def test_a_push_beside_the_centre_turns_the_block_away_and_mirrored_the_other_way():
    above, below = push(0.02)[-1], push(-0.02)[-1]
    assert above[2] < -0.3
    np.testing.assert_allclose(above * [1, -1, -1], below, atol=1e-12)


def test_a_push_does_not_depend_on_where_the_block_lies():
    turned = np.array([0.45, 0.1, 0.7])
    moved = push(0.015, block=turned)[-1]
    expected = push(0.015)[-1] - CENTER
    np.testing.assert_allclose(to_block(moved[:2], turned), expected[:2], atol=1e-12)
    assert moved[2] - turned[2] == pytest.approx(expected[2])


def test_a_finger_that_goes_away_moves_nothing():
    np.testing.assert_array_equal(push(0.01, heading=np.pi)[-1], CENTER)


def test_the_walls_stop_the_finger():
    poses = push(0.0, num_increments=200)
    assert poses[-1, 0] == pytest.approx(0.74 + FINGER_RADIUS + BLOCK_HALF_SIZE)


def test_distances_are_to_the_sides_and_corners():
    block = np.array([0.5, 0.1, 0.3])
    points = to_world(np.array([[0.045, 0.0], [0.038, 0.039], [0.0, 0.0]]), block)
    np.testing.assert_allclose(distance_to_block(points, block), [0.01, 0.005, 0.0], atol=1e-12)


@pytest.mark.parametrize("offset", [-0.02, -0.01, 0.0, 0.01, 0.02])
def test_it_foresees_what_the_simulator_does(offset):
    env = gymnasium.make("jepa-mpc/Push-v0").unwrapped
    env.reset(seed=0)
    env.data.joint("block").qpos[:] = [0.5, 0.0, BLOCK_HALF_SIZE, 1, 0, 0, 0]
    env.control.place(np.array([0.5 - BLOCK_HALF_SIZE - FINGER_RADIUS - 0.002, offset, TIP_HEIGHT]))
    env.control.refresh()
    tip = env.data.site("tip").xpos[:2].copy()
    for _ in range(4):
        env.step(np.float32([0.5, 0]))
    way = env.data.site("tip").xpos[0] - tip[0]
    pose = foresee(CENTER, tip[None], np.array([[1.0, 0.0]]), num_increments=round(way / INCREMENT))[-1, 0]
    rotation = env.data.body("block").xmat.reshape(3, 3)
    assert np.linalg.norm(env.block_position()[:2] - pose[:2]) < 0.003
    assert abs(np.arctan2(rotation[1, 0], rotation[0, 0]) - pose[2]) < np.radians(4)
