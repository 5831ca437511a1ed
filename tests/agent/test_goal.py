import numpy as np
import pytest

from agent.goal import GoalError, make_goal


def test_a_goal_asks_for_the_named_sensors_and_no_others(spec):
    goal = make_goal({"position": [0.1, 0.2, 0.3]}, spec)
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
        ({"position": [0, 0, 1.5]}, r"must lie between \[-1.0.*\] and \[1.0.*\], got \[0.0, 0.0, 1.5\]"),
    ],
)
def test_a_goal_that_cannot_be_pursued_is_refused_in_one_sentence(spec, readings, message):
    with pytest.raises(GoalError, match=message) as error:
        make_goal(readings, spec)
    assert "\n" not in str(error.value)
