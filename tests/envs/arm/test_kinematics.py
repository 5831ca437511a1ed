from itertools import pairwise

import gymnasium
import numpy as np
import pytest
from numpy.typing import NDArray

import envs  # noqa: F401
from envs.arm.kinematics import HOME
from envs.arm.mujoco_env import CONTROL_DT, MAX_DISPLACEMENT, MujocoEnv

TASKS = ["jepa-mpc/Reach-v0", "jepa-mpc/Push-v0"]

# Franka's published modified Denavit-Hartenberg parameters a, d, alpha of joints 1 to 7, and the finger on the flange.
DENAVIT_HARTENBERG = [
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -np.pi / 2),
    (0.0, 0.316, np.pi / 2),
    (0.0825, 0.0, np.pi / 2),
    (-0.0825, 0.384, -np.pi / 2),
    (0.0, 0.0, np.pi / 2),
    (0.088, 0.0, np.pi / 2),
]
FLANGE_AND_FINGER = 0.107 + 0.16

LOWER_LIMITS = [-2.8973, -1.7628, -2.8973, -3.0718, -2.8973, -0.0175, -2.8973]
UPPER_LIMITS = [2.8973, 1.7628, 2.8973, -0.0698, 2.8973, 3.7525, 2.8973]
SPEED_LIMITS = [2.1750, 2.1750, 2.1750, 2.1750, 2.6100, 2.6100, 2.6100]


@pytest.fixture(scope="module", params=TASKS)
def env(request: pytest.FixtureRequest) -> MujocoEnv:
    return gymnasium.make(request.param).unwrapped


def tip_position(env: MujocoEnv) -> NDArray[np.float64]:
    return env.data.site("tip").xpos.copy()


def lean(env: MujocoEnv) -> float:
    """The finger's angle to the vertical, degrees."""
    return float(np.degrees(np.arccos(min(1.0, -env.data.site("tip").xmat[8]))))


def denavit_hartenberg_tip(joints: NDArray[np.float64]) -> NDArray[np.float64]:
    frame = np.eye(4)
    for (a, d, alpha), theta in zip(DENAVIT_HARTENBERG, joints, strict=True):
        ct, st, ca, sa = np.cos(theta), np.sin(theta), np.cos(alpha), np.sin(alpha)
        rows = [[ct, -st, 0, a], [st * ca, ct * ca, -sa, -d * sa], [st * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]]
        frame = frame @ np.array(rows)
    return (frame @ [0, 0, FLANGE_AND_FINGER, 1])[:3]


def put_aside_the_block(env: MujocoEnv) -> None:
    if env.model.nq > 7:
        env.data.qpos[7:9] = 2.0


def test_the_tip_is_where_the_published_parameters_put_it(env: MujocoEnv) -> None:
    generator = np.random.default_rng(0)
    for joints in [HOME, np.zeros(7), *generator.uniform(LOWER_LIMITS, UPPER_LIMITS, (20, 7))]:
        env.data.qpos[:7] = joints
        env.control.refresh()
        np.testing.assert_allclose(tip_position(env), denavit_hartenberg_tip(joints), atol=1e-9)


def test_joint_limits_are_the_published_ones(env: MujocoEnv) -> None:
    np.testing.assert_array_equal(env.model.jnt_range[:7], np.transpose([LOWER_LIMITS, UPPER_LIMITS]))
    np.testing.assert_array_equal(env.model.actuator_ctrlrange, np.transpose([np.negative(SPEED_LIMITS), SPEED_LIMITS]))


def test_a_joint_step_moves_the_tip_as_asked_and_keeps_the_finger_vertical(env: MujocoEnv) -> None:
    generator = np.random.default_rng(1)
    for _ in range(50):
        env.control.place(generator.uniform(env.workspace.low, env.workspace.high))
        displacement = generator.normal(size=3)
        displacement *= 1e-3 / np.linalg.norm(displacement)
        start = tip_position(env)
        env.data.qpos[:7] += env.control.joint_step(displacement)
        env.control.refresh()
        np.testing.assert_allclose(tip_position(env) - start, displacement, atol=1e-4)
        assert lean(env) < 0.5


def test_every_place_of_the_workspace_is_reached_inside_the_joint_limits(env: MujocoEnv) -> None:
    low, high = np.array(env.workspace.low), np.array(env.workspace.high)
    corners = [np.where([i & 1, i & 2, i & 4], low, high) for i in range(8)]
    for position in [*corners, *np.random.default_rng(2).uniform(low, high, (300, 3))]:
        env.control.place(position)
        assert np.linalg.norm(tip_position(env) - position) < 5e-4
        assert (env.data.qpos[:7] > LOWER_LIMITS).all()
        assert (env.data.qpos[:7] < UPPER_LIMITS).all()


def test_the_tip_follows_a_commanded_displacement(env: MujocoEnv) -> None:
    generator = np.random.default_rng(3)
    dim = env.action_space.shape[0]
    low, high = np.array(env.workspace.low), np.array(env.workspace.high)
    errors = []
    for seed in range(200):
        env.reset(seed=seed)
        put_aside_the_block(env)
        env.control.place(generator.uniform(low, high))
        action = generator.normal(size=dim)
        action /= np.linalg.norm(action)
        start = tip_position(env)
        target = start.copy()
        target[:dim] += MAX_DISPLACEMENT * action
        target = target.clip(low, high)
        env.step(action.astype(np.float32))
        if (np.abs(env.data.ctrl) < 0.999 * np.array(SPEED_LIMITS)).all():
            errors.append(np.linalg.norm(tip_position(env) - target))
        else:  # as fast as a joint can, in the right direction
            way, wish = tip_position(env) - start, target - start
            assert way @ wish > 0.9 * np.linalg.norm(way) * np.linalg.norm(wish)
    assert len(errors) > 100
    assert max(errors) < 5e-3


def test_tours_of_the_workspace_arrive_with_no_step_longer_than_allowed(env: MujocoEnv) -> None:
    generator = np.random.default_rng(4)
    dim = env.action_space.shape[0]
    low, high = np.array(env.workspace.low), np.array(env.workspace.high)
    env.reset(seed=0)
    put_aside_the_block(env)
    for tour in range(30):
        target = np.where(generator.random(3) < 0.5, low, high) if tour % 2 else generator.uniform(low, high)
        path = [tip_position(env)]
        for _ in range(60):
            action = (target - path[-1])[:dim] / MAX_DISPLACEMENT
            env.step((action / max(1.0, np.linalg.norm(action))).astype(np.float32))
            path.append(tip_position(env))
            assert (env.data.qpos[:7] > LOWER_LIMITS).all()
            assert (env.data.qpos[:7] < UPPER_LIMITS).all()
            assert lean(env) < 1.0
        assert np.linalg.norm(path[-1] - target) < 1e-3
        assert max(np.linalg.norm(end - start) for start, end in pairwise(path)) < MAX_DISPLACEMENT + 1.5e-3


def test_joints_too_fast_are_slowed_together(env: MujocoEnv) -> None:
    env.control.place(np.array([0.6, 0.1, 0.05]))
    displacement = np.array([0.5, 0.0, 0.0])
    velocity = env.control.joint_velocity(displacement, duration=CONTROL_DT)
    step = env.control.joint_step(displacement)
    assert np.abs(velocity / SPEED_LIMITS).max() == pytest.approx(1)
    np.testing.assert_allclose(velocity / np.linalg.norm(velocity), step / np.linalg.norm(step))
