import gymnasium
import numpy as np
import pytest

from envs.arm.push import BLOCK_HALF_SIZE, TIP_HEIGHT
from envs.arm.push_slippery import MAX_FACTOR, MIN_FACTOR, PushSlipperyEnv
from envs.arm.task import make_task


@pytest.fixture(scope="module")
def env() -> PushSlipperyEnv:
    return gymnasium.make("envs:jepa-mpc/PushSlippery-v0").unwrapped


def pushed(env, factor, *, offset=0.02):
    """Pushes the block at full speed, and stops; returns x, m, and turn, degrees, then, and x where it rests, m."""
    env.reset(seed=0)
    env.set_friction_factor(factor)
    env.data.qvel[:] = 0
    env.data.joint("block").qpos[:] = [0.45, 0, BLOCK_HALF_SIZE, 1, 0, 0, 0]
    env.control.place(np.array([0.36, offset, TIP_HEIGHT]))
    env.control.refresh()
    for _ in range(6):
        env.step(np.float32([1, 0]))
    readings = env.split_observation(env._observe())
    cos, sin = readings["block_orientation"][:2]
    for _ in range(6):
        env.step(np.float32([0, 0]))
    return readings["block_position"][0], np.degrees(np.arctan2(sin, cos)), env.block_position()[0]


def test_the_factor_changes_how_the_block_moves(env):
    """A slippery block gives way and slides on; a rough one turns about the finger, and stops with it."""
    places, turns, _ = np.transpose([pushed(env, factor) for factor in (MIN_FACTOR, 1.0, MAX_FACTOR)])
    assert (np.diff(places) < -0.005).all() and (np.diff(turns) < -4).all()
    stops, _, rests = np.transpose([pushed(env, factor, offset=0.0) for factor in (MIN_FACTOR, 1.0, MAX_FACTOR)])
    assert (rests - stops)[0] > 0.012 > 0.007 > (rests - stops)[1:].max()


def test_neither_the_most_slippery_nor_the_roughest_block_tips_over(env):
    generator = np.random.default_rng(0)
    for factor in (MIN_FACTOR, MAX_FACTOR):
        for seed in range(8):
            env.reset(seed=seed)
            env.set_friction_factor(factor)
            for step in range(60):
                if step % 12 == 0:
                    target = env.block_position()[:2] + generator.uniform(-0.09, 0.09, 2)
                way = target - env.data.site("tip").xpos[:2]
                env.step((way / max(np.linalg.norm(way), 0.03)).astype(np.float32))
                assert env.data.body("block").xmat[8] > np.cos(np.radians(20))


def test_a_factor_of_one_is_push(env):
    push = gymnasium.make("envs:jepa-mpc/Push-v0").unwrapped
    push.set_friction_factor = lambda factor: None
    assert pushed(env, 1.0) == pushed(push, 1.0)


def test_the_factor_is_log_uniform_in_its_range_and_the_seeds_own(env):
    factors = []
    for seed in range(600):
        env.reset(seed=seed)
        factors.append(env.friction_factor)
    assert min(factors) >= MIN_FACTOR and max(factors) <= MAX_FACTOR
    shares = np.histogram(np.log(factors), bins=6, range=(np.log(MIN_FACTOR), np.log(MAX_FACTOR)))[0] / 600
    np.testing.assert_allclose(shares, 1 / 6, atol=0.06)
    env.reset(seed=7)
    assert env.friction_factor == factors[7]


def test_nobody_perceives_it_and_it_is_recorded():
    task = make_task(env_id="jepa-mpc/PushSlippery-v0", vision=None, film_size=None)
    frame = task.reset(3)
    assert set(task.spec.sensors) - set(task.spec.perceived) == {"block_friction_factor"}
    assert frame.readings["block_friction_factor"] == np.float32(task.env.friction_factor)
    push = gymnasium.make("envs:jepa-mpc/Push-v0").unwrapped
    assert task.env.observation_space == push.observation_space  # nor does an agent of Gymnasium
    state, _ = task.env.reset(seed=3)
    task.env.set_friction_factor(MAX_FACTOR)
    np.testing.assert_array_equal(task.env._observe(), state["observation"])


def test_the_factor_is_part_of_the_state(env):
    env.reset(seed=1)
    factor, state = env.friction_factor, env.get_state()
    first = pushed(env, MIN_FACTOR)
    env.reset(seed=2)
    assert env.friction_factor != factor
    env.set_state(state)
    assert env.friction_factor == factor
    other = env.another()
    env.set_friction_factor(MIN_FACTOR)
    other.set_state(env.get_state())
    assert pushed(env, MIN_FACTOR) == first
    assert other.friction_factor == MIN_FACTOR
    np.testing.assert_array_equal(other.model.dof_damping, env.model.dof_damping)
    np.testing.assert_array_equal(other.model.pair_friction, env.model.pair_friction)


@pytest.mark.parametrize("factor", [0.0, 0.2, 3.1, float("nan")])
def test_a_factor_out_of_range_is_refused(env, factor):
    with pytest.raises(ValueError, match=r"the factor on the friction must be in \[0.3, 3.0\], got"):
        env.set_friction_factor(factor)


def test_the_expert_pushes_the_most_slippery_and_the_roughest_block(env):
    for factor in (MIN_FACTOR, MAX_FACTOR):
        for seed in range(8):
            state, _ = env.reset(seed=seed)
            env.set_friction_factor(factor)
            expert = env.expert()
            expert.reset(env.goal_observation(state["desired_goal"]), seed=seed)
            successes = []
            for _ in range(env.description.num_steps):
                state, _, _, _, info = env.step(expert.act(env.split_observation(state["observation"])))
                successes.append(info["is_success"])
            assert all(successes[-5:])
