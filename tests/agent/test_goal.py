from dataclasses import replace

import numpy as np
import pytest
import torch

from agent.goal import GoalError, goal_distance, make_goal, make_goals
from envs.spec import Effector, Sensor
from world_model.types import LatentGoal


def test_a_goal_asks_for_the_named_sensors_and_no_others(spec):
    goal = make_goal({"position": [0.1, 0.2, 0.3]}, spec, sensors=spec.sensors)
    assert goal.observation.keys() == goal.asked.keys() == {"position"}
    assert goal.observation["position"].shape == (1, 3)
    assert goal.asked["position"].tolist() == [True]


@pytest.mark.parametrize(
    ("readings", "message"),
    [
        ({}, "must name at least one of the sensors"),
        ({"tip": [0, 0, 0]}, r"must name sensors among \['clock', 'position'\], got 'tip'"),
        ({"position": [0, 0]}, r"must have shape \(3,\), got \(2,\)"),
        ({"position": "there"}, "must be numbers of shape"),
        ({"position": [0, 0, np.nan]}, "must be finite"),
        ({"position": [10**400, 0, 0]}, "the goal for 'position' must be numbers"),
        ({"position": [0, 0, 1.5]}, r"must lie between \[-1.0.*\] and \[1.0.*\], got \[0.0, 0.0, 1.5\]"),
    ],
)
def test_a_goal_that_cannot_be_pursued_is_refused_in_one_sentence(spec, readings, message):
    with pytest.raises(GoalError, match=message) as error:
        make_goal(readings, spec, sensors=spec.sensors)
    assert "\n" not in str(error.value)


def test_the_tip_is_never_sent_outside_the_workspace(spec):
    tip = Effector(sensor="tip", workspace=spec.goal["position"], max_displacement=0.1)
    spec = replace(spec, sensors={**spec.sensors, "tip": Sensor((3,), "numbers", "m")}, effector=tip)
    with pytest.raises(GoalError, match="the goal for 'tip' must lie between"):
        make_goal({"tip": [5.0, 5.0, 5.0]}, spec, sensors=spec.sensors)


def test_a_reading_that_was_measured_at_a_wall_can_be_asked_for(spec):
    assert make_goal({"position": [0.0, 0.0, 1.0005]}, spec, sensors=spec.sensors).observation["position"].shape == (
        1,
        3,
    )
    with pytest.raises(GoalError, match="must lie between"):
        make_goal({"position": [0.0, 0.0, 1.002]}, spec, sensors=spec.sensors)


def test_a_sensor_that_the_world_model_does_not_perceive_cannot_be_asked_for(spec):
    with pytest.raises(GoalError, match=r"must name sensors among \['position'\], got 'clock'"):
        make_goal({"clock": [0.0, 0.0]}, spec, sensors=["position"])


def test_goals_are_one_or_several_in_order(spec):
    one, other = {"position": [0.1, 0.2, 0.3]}, {"clock": [1.0, 2.0]}
    assert [[*goal.observation] for goal in make_goals(one, spec, sensors=spec.sensors)] == [["position"]]
    assert [[*goal.observation] for goal in make_goals([one, other], spec, sensors=spec.sensors)] == [
        ["position"],
        ["clock"],
    ]


@pytest.mark.parametrize(
    ("goals", "message"),
    [
        ([], "a list of sub-goals must hold at least one goal, got none"),
        ("position", "a goal must map sensors to wished readings, or be a list of such goals, got 'position'"),
        (3, "a goal must map sensors to wished readings, or be a list of such goals, got 3"),
        ([[0.0, 0.0, 0.0]], r"a sub-goal must map sensors to wished readings, got \[0.0, 0.0, 0.0\]"),
        ([{"position": [0, 0, 0]}, {"tip": [0, 0, 0]}], "must name sensors among .*, got 'tip'"),
    ],
)
def test_goals_that_cannot_be_pursued_are_refused_in_one_sentence(spec, goals, message):
    with pytest.raises(GoalError, match=message) as error:
        make_goals(goals, spec, sensors=spec.sensors)
    assert "\n" not in str(error.value)


def test_the_distance_to_a_goal_is_over_what_it_asks_for():
    goal = LatentGoal(
        embedding=torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 4.0]]),
        mask=torch.tensor([[True, False, False], [False, True, True]]),
    )
    embeddings = torch.tensor([[4.0, 7.0, 7.0], [7.0, 0.0, 0.0]])
    assert goal_distance(embeddings, goal).tolist() == [9.0, (4.0 + 16.0) / 2.0]
