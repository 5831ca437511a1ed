"""A world that is not quite as it was learned."""

import numpy as np
import pytest

from agent.evaluation.scenarios.altered import Altered
from agent.evaluation.scenarios.types import ScenarioError, StagedTask
from envs.arm.task import make_task
from envs.episodes.exploration import Zero
from envs.vision import Vision

NATURE = {
    "camera_shift": 0.0,
    "camera_turn": 0.0,
    "light": 1.0,
    "tint": 0.0,
    "mass": 1.0,
    "friction": 1.0,
    "image_noise": 0.0,
    "position_noise": 0.0,
}
VISION = Vision(cameras=("fixed",), image_size=48, proprioception=True, backends=("raycast",))


def make():
    return make_task(env_id="jepa-mpc/Push-v0", vision=VISION, film_size=None)


def staged(task, seed=0, **changes):
    return Altered(task.spec, **(NATURE | changes)).stage(task, Zero(task.spec), seed=seed)[0]


@pytest.fixture(scope="module")
def natural():
    return make().reset(3)


def test_as_it_stands_nothing_is_altered(natural):
    frame = staged(make()).reset(3)
    for name, reading in natural.readings.items():
        np.testing.assert_array_equal(frame.readings[name], reading)


@pytest.mark.parametrize("changes", [{"camera_shift": 0.02}, {"camera_turn": 3.0}, {"light": 0.7}, {"tint": 0.2}])
def test_what_is_seen_is_altered_in_observations_and_goals_and_nothing_else(natural, changes):
    frame = staged(make(), **changes).reset(3)
    for shown, before in ((frame.readings, natural.readings), (frame.goal, natural.goal)):
        assert np.abs(shown["fixed_camera"].astype(int) - before["fixed_camera"]).mean() > 0.5
    np.testing.assert_array_equal(frame.readings["block_position"], natural.readings["block_position"])


def test_less_light_darkens_by_so_much(natural):
    dim = staged(make(), light=0.5).reset(3).readings["fixed_camera"]
    ratio = dim.mean() / natural.readings["fixed_camera"].mean()
    assert 0.45 < ratio < 0.6  # what was too bright to be shown is no brighter


def test_friction_is_that_of_every_contact():
    natural, altered = make(), make()
    staged(altered, friction=0.5)
    before, after = natural.env.model.pair_friction, altered.env.model.pair_friction
    np.testing.assert_allclose(after[:, :2], before[:, :2] / 2)
    np.testing.assert_array_equal(after[:, 2:], before[:, 2:])


def test_a_heavier_block_weighs_as_much_more_and_the_arm_does_not():
    natural, altered = make(), make()
    staged(altered, mass=2.0)
    before, after = natural.env.model.body_mass, altered.env.model.body_mass
    block = natural.env.model.body("block").id
    assert after[block] == 2 * before[block]
    np.testing.assert_array_equal(np.delete(after, block), np.delete(before, block))


def test_noise_is_on_what_is_read_and_not_on_goals_and_follows_from_the_seed(natural):
    frames = [staged(make(), seed=seed, image_noise=10.0, position_noise=0.005).reset(3) for seed in (0, 0, 1)]
    for name, std in (("fixed_camera", 10.0), ("tip", 0.005)):
        noise = frames[0].readings[name].astype(float) - natural.readings[name]
        assert 0.2 * std < noise.std() < 1.8 * std
        np.testing.assert_array_equal(frames[0].readings[name], frames[1].readings[name])
        assert not np.array_equal(frames[0].readings[name], frames[2].readings[name])
    np.testing.assert_array_equal(frames[0].goal["fixed_camera"], natural.goal["fixed_camera"])
    np.testing.assert_array_equal(frames[0].readings["joint_position"], natural.readings["joint_position"])


def test_an_oracle_plans_in_the_altered_world():
    task = make()
    simulator = task.another()  # an oracle is made before a scenario is staged
    natural = simulator.env.model.body_mass.copy()
    staged(task, mass=2.0).reset(3)
    simulator.restore(task.save())
    np.testing.assert_array_equal(simulator.env.model.body_mass, task.env.model.body_mass)
    assert not np.array_equal(simulator.env.model.body_mass, natural)


@pytest.mark.parametrize("name", ["Push", "PushOriented", "PushSlippery", "PushTwo"])
def test_an_alteration_outlasts_a_reset(name):
    task = make_task(env_id=f"jepa-mpc/{name}-v0", vision=None, film_size=None)
    task.reset(5)
    before = task.env.model.pair_friction.copy()
    altered = staged(task, friction=0.5, tint=0.3)
    altered.reset(5)
    altered.reset(5)
    np.testing.assert_allclose(task.env.model.pair_friction[:, :2], before[:, :2] / 2)
    assert task.env.model.geom("table").rgba[0] > 0.9
    with pytest.raises(ValueError, match="a world is altered once"):
        staged(task, friction=2.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"light": 0.0}, "light must be"),
        ({"mass": -1.0}, "mass must be"),
        ({"tint": 2.0}, "tint must be"),
        ({"image_noise": -1.0}, "image_noise must be"),
        ({"camera_turn": float("nan")}, "camera_turn must be a finite number"),
    ],
)
def test_what_cannot_be_is_refused(natural, changes, message):
    with pytest.raises(ValueError, match=message):
        staged(make(), **changes)


def test_a_task_that_cannot_be_altered_is_told():
    with pytest.raises(ScenarioError, match="needs a task whose world can be altered"):
        staged(StagedTask(PendulumLike()))


class PendulumLike:
    spec = make().spec
