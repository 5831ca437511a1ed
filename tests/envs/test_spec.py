import json
from dataclasses import replace

import numpy as np
import pytest

from envs.spec import Box, BoxActions, DiscreteActions, Effector, Sensor, TaskSpec

SPEC = TaskSpec(
    task_id="test/Hand-v0",
    fingerprint="ab",
    sensors={"tip": Sensor((3,), "numbers", "m"), "eye": Sensor((8, 6, 3), "image", "")},
    perceived=("eye",),
    asked=("tip",),
    goal={},
    actions=BoxActions(low=(0.0, -1.0), high=(300.0, 2.0), idle=(0.0, 0.0)),
    control_dt=0.05,
    num_steps=20,
    effector=Effector(sensor="tip", workspace=Box(low=(0.0, 0.0, 0.0), high=(1.0, 1.0, 1.0)), max_displacement=0.03),
)


@pytest.mark.parametrize("actions", [SPEC.actions, BoxActions.unit(3), DiscreteActions(num_actions=4, idle=None)])
@pytest.mark.parametrize("effector", [SPEC.effector, None])
def test_a_spec_survives_json(actions, effector):
    spec = TaskSpec(**{**vars(SPEC), "actions": actions, "effector": effector})
    assert TaskSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_actions_of_a_box_are_finite_and_inside():
    inside = SPEC.actions.contains(np.array([[0, 0], [300, 2], [301, 0], [-1, 0], [np.nan, 0], [np.inf, 0]]))
    assert inside.tolist() == [True, True, False, False, False, False]
    assert not SPEC.actions.contains(np.zeros(3)).any()
    assert SPEC.actions.admits(np.array([300, 2])) and SPEC.actions.admits(np.float32([0, 0]))
    for action in ([301, 0], [np.nan, 0], [0], [[0, 0]], 0):
        assert not SPEC.actions.admits(np.array(action))


@pytest.mark.parametrize("corner", [0.1, 0.3, 1 / 3, 1e-3, 2.0, 1e300])
def test_what_goes_to_a_bound_that_single_precision_lacks_is_inside_to_the_last_bit(corner):
    actions = BoxActions(low=(-corner,), high=(corner,), idle=(corner,))
    ends = actions.from_unit(np.array([[-1.0], [1.0]]))
    assert actions.contains(ends).all() and actions.contains(actions.idle_action)
    assert -corner <= actions.low[0] and actions.high[0] <= corner
    assert np.float32(actions.high[0]) == actions.high[0] == ends[1, 0] == -ends[0, 0] == actions.idle[0]
    spec = TaskSpec(**{**vars(SPEC), "actions": actions})
    assert TaskSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_discrete_actions_are_one_hot():
    actions = DiscreteActions(num_actions=3, idle=1)
    one_hot = actions.contains(np.array([[0, 1, 0], [0, 0, 0], [1, 1, 0], [0.5, 0.5, 0], [np.nan, 1, 0], [1, 0, 0]]))
    assert one_hot.tolist() == [True, False, False, False, False, True]
    assert not actions.contains(np.array([1, 0])).any()
    assert actions.admits(np.array([1, 0, 0]))
    assert not any(actions.admits(np.array(it)) for it in ([1, 1, 0], [1, 0], [[1, 0, 0]], 1))
    assert actions.action_dim == 3


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Sensor((), "numbers", ""), "the shape of a sensor must be 1 to 4 sizes above 0, got \\(\\)"),
        (lambda: Sensor((3, 0), "numbers", ""), "the shape of a sensor"),
        (lambda: Sensor((8, 8), "image", ""), r"the shape of an image must be \(height, width, 3\), got \(8, 8\)"),
        (lambda: Sensor((3,), "sound", ""), "the kind of a sensor must be one of"),
        (lambda: BoxActions(low=(0.0,), high=(1.0, 1.0), idle=None), "two vectors of one size"),
        (lambda: BoxActions(low=(), high=(), idle=None), "two vectors of one size"),
        (lambda: BoxActions(low=(0.0,), high=(np.inf,), idle=None), "finite and low below high"),
        (lambda: BoxActions(low=(1.0,), high=(1.0,), idle=None), "finite and low below high"),
        (lambda: BoxActions(low=(1.0,), high=(2.0,), idle=(0.0,)), "the idle action must lie between"),
        (lambda: DiscreteActions(num_actions=1, idle=None), "at least 2, got 1"),
        (lambda: DiscreteActions(num_actions=2, idle=2), "the idle action must be in 0..1, got 2"),
    ],
)
def test_what_makes_no_sense_is_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make()


def test_an_image_is_what_says_so_and_not_what_looks_like_one():
    assert not Sensor((8, 8, 3), "numbers", "m").is_image
    assert Sensor((8, 8, 3), "image", "").is_image


def test_a_spec_says_in_what_another_differs():
    assert SPEC.differences(SPEC) == {}
    assert SPEC.differences(replace(SPEC, num_steps=7, task_id="x/Y-v0")) == {
        "task_id": (SPEC.task_id, "x/Y-v0"),
        "num_steps": (SPEC.num_steps, 7),
    }
