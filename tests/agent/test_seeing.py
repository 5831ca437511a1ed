"""An agent that sees: what counts as a picture, what is filled in, and goals that are pictures.

The world is the point of the other tests, but one sees it through a camera: a pixel whose colour is the position.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agent.goal import GoalError, make_goal
from agent.perception import ObservationError
from envs.spec import Sensor

SHAPE = (4, 4, 3)
GOAL = [0.9, 0.0, 0.0]


def picture(position, *, dtype=np.float32):
    """Returns a grey picture with one white pixel, and one that shows the position; -1 is black, 1 is full colour."""
    image = np.full(SHAPE, 90, np.float32)
    image[0, 0] = 255
    image[1, 1] = 127.5 * (1 + np.asarray(position))
    return image.astype(dtype)


@pytest.fixture
def spec(spec):
    return replace(
        spec,
        sensors={
            "tip": Sensor((3,), "numbers", "m"),
            "camera": Sensor(SHAPE, "image", ""),
            "clock": Sensor((2,), "numbers", "s"),
        },
        perceived=("camera", "clock"),
        asked=("camera",),
        goal={"tip": spec.goal["position"]},
        effector=replace(spec.effector, sensor="tip"),
    )


@pytest.fixture
def integrator(integrator):
    """The perfect model of the point, which looks at the camera."""

    class Seeing(type(integrator)):
        blocks = {"camera": slice(0, 3), "clock": slice(3, 5)}

        def encode(self, observation):
            return torch.cat([observation["camera"][:, :, 1, 1] / 127.5 - 1, observation["clock"]], dim=2)

        def encode_goal(self, goal):
            shown = {name: it[:, 1, 1] / 127.5 - 1 if name == "camera" else it for name, it in goal.observation.items()}
            return super().encode_goal(replace(goal, observation=shown))

    return Seeing()


@pytest.fixture
def actor(make_actor):
    return make_actor(tip_sensor="tip", attention={"driven": None, "frozen_after": None})


def observe(position, **others):
    return {
        "tip": np.asarray(position, np.float32),
        "camera": picture(position),
        "clock": np.zeros(2, np.float32),
        **others,
    }


def run(actor, show, *, num_steps):
    """Lets a point do what the actor says, while the actor sees `show(step, observation)`; returns true positions."""
    actor.reset({"camera": picture(GOAL)}, seed=0)
    positions = [np.zeros(3, np.float32)]
    for step in range(num_steps):
        action = actor.act(show(step, observe(positions[-1])))
        positions.append(positions[-1] + np.float32(0.1) * action)
    return np.array(positions)


NO_PICTURES = [
    (np.zeros(SHAPE), r"must show something, got one colour all over, \[0, 0, 0\]"),
    (np.full(SHAPE, 255), r"must show something, got one colour all over, \[255, 255, 255\]"),
    (np.broadcast_to([200, 30, 7], SHAPE), r"must show something, got one colour all over, \[200, 30, 7\]"),
    (picture(GOAL) / 255, "must be pixels from 0 to 255, got numbers from 0.352941 to 1"),
    (picture(GOAL) - 128, "must be pixels from 0 to 255, got numbers from -38 to 127"),
    (picture(GOAL) + 1, r"must be pixels from 0 to 255, got numbers from .* to 256"),
    (np.where(picture(GOAL) == 255, np.nan, 9), "must be finite, got numbers that are not"),
]


@pytest.mark.parametrize(("image", "message"), NO_PICTURES)
def test_what_is_no_picture_at_the_first_step_is_one_sentence(actor, image, message):
    actor.reset({"camera": picture(GOAL)}, seed=0)
    with pytest.raises(ObservationError, match=f"^the sensor 'camera' {message}") as error:
        actor.act(observe([0.0, 0.0, 0.0], camera=image))
    assert "\n" not in str(error.value) and len(str(error.value)) < 1000


@pytest.mark.parametrize("image", [image for image, _ in NO_PICTURES])
def test_what_is_no_picture_later_is_filled_in_by_imagination(actor, image):
    def show(step, observation):
        return {**observation, "camera": image} if 2 <= step < 5 else observation

    positions = run(actor, show, num_steps=14)
    filled = [choice.situation.filled_sensors for choice in actor.state.choices]
    assert filled == [(), (), *[("camera",)] * 3, *[()] * 9]
    assert np.abs(positions[-1] - GOAL).max() < 0.02
    assert all(moment.surprise < 1e-8 for moment in actor.state.memory.moments)
    assert actor.state.percept.filled == {}


def test_a_camera_that_is_absent_is_filled_in_too(actor):
    undisturbed = run(actor, lambda step, observation: observation, num_steps=6)

    def show(step, observation):
        return {name: it for name, it in observation.items() if step != 3 or name != "camera"}

    np.testing.assert_allclose(run(actor, show, num_steps=6), undisturbed, atol=1e-5)
    assert actor.state.choices[3].situation.filled_sensors == ("camera",)


def test_a_picture_of_two_colours_is_a_picture(actor):
    image = np.full(SHAPE, 7, np.uint8)
    image[3, 3, 2] = 8
    actor.reset({"camera": image}, seed=0)
    assert np.isfinite(actor.act(observe([0.0, 0.0, 0.0], camera=image))).all()


@pytest.mark.parametrize("first", [True, False])
def test_a_picture_of_another_size_is_always_an_error(actor, first):
    actor.reset({"camera": picture(GOAL)}, seed=0)
    if not first:
        actor.act(observe([0.0, 0.0, 0.0]))
    with pytest.raises(ObservationError, match=r"'camera' must have shape \(4, 4, 3\), got \(8, 8, 3\)"):
        actor.act(observe([0.0, 0.0, 0.0], camera=np.zeros((8, 8, 3), np.uint8)))


def test_bytes_and_floats_of_the_same_picture_are_the_same(actor):
    here, there = ([20, 100, 200], [200, 100, 20])
    actions = []
    for dtype in (np.uint8, np.float32, np.int64):
        images = [picture(np.array(colour) / 127.5 - 1).round().astype(dtype) for colour in (here, there)]
        actor.reset({"camera": images[1]}, seed=0)
        actions.append(actor.act(observe([0.0, 0.0, 0.0], camera=images[0])))
    assert np.array_equal(actions[0], actions[1]) and np.array_equal(actions[0], actions[2])


def test_a_goal_that_is_the_present_picture_costs_nothing(actor):
    actor.reset({"camera": picture([0.1, 0.2, 0.3])}, seed=0)
    actor.act(observe([0.1, 0.2, 0.3]))
    assert actor.state.memory.moments[0].intrinsic_cost == 0.0
    actor.reset({"camera": picture([0.1, 0.2, 0.3])}, seed=0)
    actor.act(observe([0.1, 0.2, 0.6]))
    assert actor.state.memory.moments[0].intrinsic_cost == pytest.approx(0.3**2 / 3, rel=1e-4)


@pytest.mark.parametrize(("image", "message"), NO_PICTURES)
def test_a_goal_that_is_no_picture_is_one_sentence(actor, image, message):
    with pytest.raises(GoalError, match=f"^the goal for 'camera' {message}") as error:
        actor.reset({"camera": image}, seed=0)
    assert "\n" not in str(error.value) and len(str(error.value)) < 1000


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        ({"tip": [0.1, 0.2, 0.3]}, r"a goal must name sensors among \['camera', 'clock'\], got 'tip'"),
        ({"camera": np.zeros((5, 4, 3))}, r"the goal for 'camera' must have shape \(4, 4, 3\), got \(5, 4, 3\)"),
        ({"camera": "photo.png"}, r"the goal for 'camera' must be numbers of shape \(4, 4, 3\), got 'photo.png'"),
    ],
)
def test_a_goal_that_an_agent_cannot_look_for_is_one_sentence(actor, goal, message):
    with pytest.raises(GoalError, match=message):
        actor.reset(goal, seed=0)


def test_the_box_of_the_tasks_own_goals_is_no_bound_for_pictures(spec):
    goal = make_goal({"camera": picture(GOAL)}, spec, sensors=("camera",))
    assert goal.observation["camera"].shape == (1, *SHAPE)


def test_an_agent_that_does_not_see_what_goals_are_pictures_of_is_refused(make_actor, integrator):
    integrator.blocks = {"clock": slice(3, 5)}
    with pytest.raises(ValueError, match=r"the world model must perceive what goals ask for, \['camera'\]"):
        make_actor(tip_sensor="tip", attention={"driven": None})


def test_nothing_but_the_guardrails_looks_at_what_is_not_perceived(make_actor):
    seen, hidden = (make_actor(tip_sensor="tip", attention={"driven": None}) for _ in range(2))
    usual = run(seen, lambda step, observation: observation, num_steps=8)
    others = run(hidden, lambda step, observation: {**observation, "nose": np.ones(2), "block": None}, num_steps=8)
    assert np.array_equal(usual, others)
    assert np.abs(usual[-1] - GOAL).max() < 0.2


@pytest.mark.parametrize(
    ("tip", "message"),
    [
        ({}, r"the observation lacks the sensor 'tip'; it has \['camera', 'clock'\]"),
        ({"tips": np.zeros(3)}, r"the observation lacks the sensor 'tip'; it has \['camera', 'clock', 'tips'\]"),
        ({"tip": None}, "the observation lacks the sensor 'tip'"),
        ({"tip": np.zeros((1, 3))}, r"the sensor 'tip' must have shape \(3,\), got \(1, 3\)"),
        ({"tip": [0.0, np.nan, 0.0]}, r"the sensor 'tip' must be finite, got \[0.0, nan, 0.0\]"),
        ({"tip": "left"}, r"the sensor 'tip' must read numbers of shape \(3,\), got 'left'"),
    ],
)
def test_an_agent_that_sees_is_not_left_in_silence_without_what_its_guardrails_feel(make_actor, tip, message):
    actor = make_actor(tip_sensor="tip", attention={"driven": None})
    actor.reset({"camera": picture(GOAL)}, seed=0)
    seen = {name: reading for name, reading in observe([0.0, 0.0, 0.0]).items() if name != "tip"}
    with pytest.raises(ObservationError, match=message):
        actor.act({**seen, **tip})


def test_what_the_guardrails_feel_may_be_missing_later(make_actor):
    actor = make_actor(tip_sensor="tip", attention={"driven": None})
    actor.reset({"camera": picture(GOAL)}, seed=0)
    actor.act(observe([0.0, 0.0, 0.0]))
    for gone in ({"tip": None}, {"tip": np.full(3, np.nan)}):
        actor.act({**observe([0.0, 0.0, 0.0]), **gone})
        assert actor.state.guarded.interventions == ("blind",)
    with pytest.raises(ObservationError, match=r"'tip' must have shape \(3,\), got \(2, 3\)"):
        actor.act({**observe([0.0, 0.0, 0.0]), "tip": np.zeros((2, 3))})
