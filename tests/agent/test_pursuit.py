import pytest

from agent.pursuit import Pursuit, SubGoals


def sub_goals(**changes):
    return SubGoals(
        **{"reached_distance": 0.1, "patience": 3, "min_progress": 0.1, "when_stuck": "continue", **changes}
    )


def follow(settings, distances, *, seen=None, costs_to_go=None, num_goals=1):
    """Returns the pursuit at each of the model steps."""
    pursuits, pursuit = [], Pursuit()
    seen, costs_to_go = seen or [True] * len(distances), costs_to_go or [None] * len(distances)
    for distance, sight, cost_to_go in zip(distances, seen, costs_to_go, strict=True):
        pursuit = settings.follow(pursuit, distance=distance, seen=sight, cost_to_go=cost_to_go, num_goals=num_goals)
        pursuits.append(pursuit)
    return pursuits


def test_a_goal_within_the_distance_is_reached_and_the_next_is_taken_up():
    pursuits = follow(sub_goals(), [1.0, 0.0101, 0.0099, 1.0], num_goals=3)
    assert [pursuit.event for pursuit in pursuits] == [None, None, "reached", None]
    assert [pursuit.goal_index for pursuit in pursuits] == [0, 0, 1, 1]
    assert [pursuit.steps_on_goal for pursuit in pursuits] == [1, 2, 1, 2]


def test_the_last_goal_is_kept_and_reported_once_each_time_that_it_is_reached():
    pursuits = follow(sub_goals(), [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    assert [pursuit.event for pursuit in pursuits] == ["reached", None, None, None, None, None, "reached"]
    assert all(pursuit.goal_index == 0 for pursuit in pursuits)


def test_what_is_only_imagined_reaches_no_goal():
    pursuits = follow(sub_goals(), [1.0, 0.0, 0.0, 0.0], seen=[True, False, False, True], num_goals=2)
    assert [pursuit.event for pursuit in pursuits] == [None, None, None, "reached"]
    assert [pursuit.goal_index for pursuit in pursuits] == [0, 0, 0, 1]


def test_a_goal_that_is_only_imagined_to_be_near_gets_stuck_as_any_other():
    pursuits = follow(sub_goals(), [1.0, 0.0, 0.0, 0.0, 0.0], seen=[True] + [False] * 4, num_goals=2)
    assert [pursuit.event for pursuit in pursuits] == [None] * 4 + ["stuck"]


def test_a_last_goal_that_is_reached_is_not_lost_out_of_sight():
    pursuits = follow(sub_goals(), [0.0] * 8, seen=[True] + [False] * 6 + [True])
    assert [pursuit.event for pursuit in pursuits] == ["reached"] + [None] * 7
    assert all(pursuit.reached for pursuit in pursuits)


def test_a_goal_that_comes_no_nearer_is_stuck():
    pursuits = follow(sub_goals(), [1.0, 0.95, 0.91, 0.905, 0.8], num_goals=2)
    assert [pursuit.steps_without_progress for pursuit in pursuits[:3]] == [0, 1, 2]
    assert [pursuit.event for pursuit in pursuits] == [None, None, None, "stuck", None]
    assert [pursuit.goal_index for pursuit in pursuits] == [0, 0, 0, 1, 1]
    assert pursuits[3].reason == (
        "goal 1 of 2 is stuck: neither its distance nor its cost-to-go improved for 3 model steps; on to the next"
    )


def test_progress_of_the_cost_to_go_is_progress():
    pursuits = follow(sub_goals(), [1.0] * 6, costs_to_go=[9.0, 8.0, 7.0, 6.0, 5.0, 4.0])
    assert [pursuit.steps_without_progress for pursuit in pursuits] == [0] * 6


def test_a_last_goal_that_is_stuck_is_tried_on_and_reported_again():
    pursuits = follow(sub_goals(), [1.0] * 9)
    assert [index for index, pursuit in enumerate(pursuits) if pursuit.event == "stuck"] == [3, 7]
    assert all(pursuit.goal_index == 0 and not pursuit.ended for pursuit in pursuits)
    assert pursuits[3].reason.endswith("; it is tried on, as the last")


def test_a_goal_that_is_stuck_can_end_the_episode():
    pursuits = follow(sub_goals(when_stuck="stop"), [1.0] * 4 + [0.0], num_goals=2)
    assert [pursuit.ended for pursuit in pursuits] == [False, False, False, True, True]
    assert [pursuit.event for pursuit in pursuits] == [None, None, None, "stuck", None]
    assert pursuits[3].reason.endswith("; the robot holds still")


def test_without_patience_nothing_is_ever_stuck():
    assert all(pursuit.event is None for pursuit in follow(sub_goals(patience=None), [1.0] * 50, num_goals=2))


def test_holding_a_goal_is_not_being_stuck_and_losing_it_starts_anew():
    pursuits = follow(sub_goals(), [0.0] * 9 + [1.0, 0.8, 0.6, 0.4, 0.2])
    assert [pursuit.event for pursuit in pursuits[1:]] == [None] * 13


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reached_distance": 0.0}, "reached_distance must be above 0 and finite, got 0.0"),
        ({"patience": 0}, "patience must be at least 1, or null, got 0"),
        ({"patience": 1.5}, "patience must be a whole number"),
        ({"min_progress": 1.0}, r"min_progress must be at least 0 and below 1 and finite, got 1.0"),
        ({"when_stuck": "cry"}, "when_stuck must be continue or stop, got 'cry'"),
    ],
)
def test_settings_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        sub_goals(**change)
