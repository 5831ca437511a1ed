import gymnasium
import mujoco
import numpy as np
import pytest
from numpy.typing import NDArray

import envs  # noqa: F401
from envs.arm.mujoco_env import CONTROL_DT, MAX_DISPLACEMENT
from envs.arm.push import BLOCK_AREA, BLOCK_HALF_SIZE, MIN_START_DISTANCE, SUCCESS_RADIUS, TIP_HEIGHT, PushEnv

FRICTION = 0.6
GRAVITY = 9.81


@pytest.fixture(scope="module")
def env() -> PushEnv:
    return gymnasium.make("jepa-mpc/Push-v0").unwrapped


def set_up(env: PushEnv, *, block: tuple[float, float], tip: tuple[float, float], yaw: float = 0.0) -> None:
    env.reset(seed=0)
    env.data.qvel[:] = 0
    env.data.joint("block").qpos[:] = [*block, BLOCK_HALF_SIZE, np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]
    env.control.place(np.array([*tip, TIP_HEIGHT]))
    env.control.refresh()


def block_position(env: PushEnv) -> NDArray[np.float64]:
    return env.data.joint("block").qpos[:3].copy()


def push(env: PushEnv, action: tuple[float, float], num_steps: int) -> None:
    for _ in range(num_steps):
        env.step(np.array(action, np.float32))


def chase(env: PushEnv, generator: np.random.Generator, num_steps: int) -> list[NDArray[np.float64]]:
    """Drives the tip at full speed to random points around the block, through it where it is in the way."""
    path = []
    for step in range(num_steps):
        if step % 12 == 0:
            target = block_position(env)[:2] + generator.uniform(-0.09, 0.09, 2)
        way = target - env.data.site("tip").xpos[:2]
        env.step((way / max(np.linalg.norm(way), MAX_DISPLACEMENT)).astype(np.float32))
        path.append(block_position(env))
    return path


def successes(env: PushEnv, seed: int, *, use_expert: bool) -> list[bool]:
    generator = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    expert = env.expert()
    expert.reset(env.goal_observation(observation["desired_goal"]), seed=seed)
    result = []
    for _ in range(env.description.num_steps):
        random = generator.uniform(-1, 1, env.action_space.shape).astype(np.float32)
        action = expert.act(env.split_observation(observation["observation"])) if use_expert else random
        observation, _, _, _, info = env.step(action)
        result.append(info["is_success"])
    return result


def test_the_task_has_the_promised_size(env: PushEnv) -> None:
    assert (np.subtract(BLOCK_AREA.high, BLOCK_AREA.low)[:2] >= np.array([0.30, 0.50]) - 1e-9).all()
    assert (MIN_START_DISTANCE, SUCCESS_RADIUS, env.description.num_steps) == (0.10, 0.05, 100)
    np.testing.assert_allclose(env.model.geom("block").size, BLOCK_HALF_SIZE)
    np.testing.assert_allclose(env.model.body("block").mass, 0.2)


def test_sensors_come_in_order_with_their_readings(env: PushEnv) -> None:
    assert env.description.shapes == {
        "tip": (3,),
        "joint_position": (7,),
        "joint_velocity": (7,),
        "block_position": (3,),
        "block_orientation": (6,),
        "block_velocity": (6,),
    }
    set_up(env, block=(0.5, 0.0), tip=(0.41, 0.02), yaw=0.3)
    push(env, (1.0, 0.0), 3)
    readings = env.split_observation(env.step(np.array([1.0, 0.0], np.float32))[0]["observation"])
    body = env.data.body("block")
    np.testing.assert_allclose(readings["block_position"], body.xpos, rtol=1e-6)
    rotation = body.xmat.reshape(3, 3)
    np.testing.assert_allclose(readings["block_orientation"], [*rotation[:, 0], *rotation[:, 1]], atol=1e-6)
    assert np.abs(readings["block_velocity"]).max() > 0.1
    np.testing.assert_allclose(readings["block_velocity"][:3], env.data.joint("block").qvel[:3], atol=1e-6)


def test_the_angular_velocity_is_the_rate_of_the_orientation_in_the_world(env: PushEnv) -> None:
    set_up(env, block=(0.5, 0.0), tip=(0.35, 0.2), yaw=0.8)
    env.data.joint("block").qvel[3:] = [0.2, 0.5, 2.0]
    velocity = env.split_observation(env._observe())["block_velocity"][3:]
    before = env.data.body("block").xmat.reshape(3, 3).copy()
    dt = 1e-5
    mujoco.mj_integratePos(env.model, env.data.qpos, env.data.qvel, dt)
    env.control.refresh()
    rate = (env.data.body("block").xmat.reshape(3, 3) - before) / dt
    spin = rate @ before.T
    np.testing.assert_allclose(velocity, [spin[2, 1], spin[0, 2], spin[1, 0]], atol=1e-3)


def test_starts_and_goals_fill_the_area_and_lie_apart(env: PushEnv) -> None:
    resets = [env.reset(seed=seed) for seed in range(1000)]
    flat = np.array([observation["observation"] for observation, _ in resets])
    readings = env.split_observation(flat)
    goals = np.array([observation["desired_goal"] for observation, _ in resets])
    size = np.subtract(BLOCK_AREA.high, BLOCK_AREA.low)[:2]
    starts = readings["block_position"][:, :2]
    for positions in (starts, goals):
        assert (np.ptp(positions, axis=0) >= 0.95 * size).all()
        assert (positions >= np.array(BLOCK_AREA.low[:2]) - 1e-6).all()
        assert (positions <= np.array(BLOCK_AREA.high[:2]) + 1e-6).all()
    assert np.linalg.norm(starts - goals, axis=1).min() >= MIN_START_DISTANCE - 1e-6
    yaw = np.arctan2(readings["block_orientation"][:, 1], readings["block_orientation"][:, 0])
    assert np.ptp(yaw) >= 0.95 * 2 * np.pi
    assert not any(info["redrawn"] or info["is_success"] for _, info in resets)


def test_the_tip_starts_clear_of_the_block_at_its_height(env: PushEnv) -> None:
    for seed in range(100):
        tip = env.split_observation(env.reset(seed=seed)[0]["observation"])["tip"]
        assert tip[2] == pytest.approx(TIP_HEIGHT, abs=5e-4)
        start = block_position(env)
        env.step(np.zeros(2, np.float32))
        assert np.linalg.norm(block_position(env)[:2] - start[:2]) < 1e-4


def test_the_block_moves_with_the_tip_and_stops_when_it_stops(env: PushEnv) -> None:
    for yaw in np.linspace(0, np.pi / 2, 5):
        set_up(env, block=(0.5, -0.1), tip=(0.5, -0.2), yaw=yaw)
        push(env, (0.0, 1.0), 8)
        moved = block_position(env)
        assert moved[1] > -0.1 + 0.05
        push(env, (0.0, 0.0), 4)
        assert np.linalg.norm(block_position(env) - moved) < 0.01
        assert np.abs(env.data.joint("block").qvel[:2]).max() < 5e-3


def test_a_sliding_block_is_stopped_by_friction(env: PushEnv) -> None:
    set_up(env, block=(0.5, 0.0), tip=(0.35, 0.25))
    speed = 0.3
    env.data.joint("block").qvel[0] = speed
    push(env, (0.0, 0.0), round(0.5 / CONTROL_DT))
    distance = block_position(env)[0] - 0.5
    assert 0.002 < distance < speed**2 / (2 * FRICTION * GRAVITY)


def test_a_block_at_rest_stays(env: PushEnv) -> None:
    set_up(env, block=(0.5, 0.0), tip=(0.35, 0.25), yaw=0.4)
    push(env, (0.0, 0.0), 10)  # it settles by a tenth of a millimetre
    start = block_position(env)
    push(env, (0.0, 0.0), 40)
    np.testing.assert_allclose(block_position(env), start, atol=1e-5)
    assert block_position(env)[2] == pytest.approx(BLOCK_HALF_SIZE, abs=5e-4)


def test_rough_pushing_neither_tips_nor_lifts_the_block_and_never_loses_it(env: PushEnv) -> None:
    generator = np.random.default_rng(0)
    moved = 0
    for seed in range(15):
        env.reset(seed=seed)
        path = np.array(chase(env, generator, 80))
        moved += (np.linalg.norm(np.diff(path, axis=0), axis=1) > 1e-3).sum()
        assert np.abs(path[:, 2] - BLOCK_HALF_SIZE).max() < 0.01
        assert env.data.body("block").xmat[8] > np.cos(np.radians(3))
        table = env.model.geom("table")
        assert (np.abs(path[:, :2] - table.pos[:2]) < table.size[:2]).all()
    assert moved > 100


def test_a_state_in_the_middle_of_contact_continues_bit_for_bit(env: PushEnv) -> None:
    set_up(env, block=(0.5, 0.0), tip=(0.43, 0.01), yaw=0.2)
    push(env, (0.5, 0.05), 5)
    assert env.model.geom("finger").id in env.data.contact.geom
    state = env.get_state()
    actions = np.random.default_rng(0).uniform(-1, 1, (40, 2)).astype(np.float32) + np.float32([0.5, 0])
    first = [env.step(action)[0]["observation"] for action in actions]
    env.reset(seed=11)
    env.set_state(state)
    np.testing.assert_array_equal(first, [env.step(action)[0]["observation"] for action in actions])


def test_the_expert_reaches_every_goal_and_stays(env: PushEnv) -> None:
    assert all(all(successes(env, seed, use_expert=True)[-5:]) for seed in range(40))


def test_random_actions_do_not_get_there(env: PushEnv) -> None:
    assert sum(all(successes(env, seed, use_expert=False)[-5:]) for seed in range(40)) <= 2
