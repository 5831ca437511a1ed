import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from agent.guardrails import GuardedAction
from agent.guardrails.hard import hard
from agent.run.config.composing import group_names
from benchmarks.agent.guardrails import LOWER, NARROW, TASKS, attack
from envs.spec import Box, BoxActions, DiscreteActions, Effector, Sensor, TaskSpec

LONGEST, DT = 0.03, 0.05
TOP_SPEED = LONGEST / DT
UNIT = LONGEST / DT**2
"""The acceleration that is a change of a whole way, m/s^2."""

CENTER = np.zeros(3, np.float32)


def make_spec(action_dim=3, half_width=0.5):
    corner = tuple(half_width if axis < action_dim else 0.0 for axis in range(3))
    return TaskSpec(
        task_id="test/Tip-v0",
        fingerprint="",
        sensors={"tip": Sensor((3,), "numbers", ""), "clock": Sensor((1,), "numbers", "")},
        perceived=("tip", "clock"),
        goal={},
        asked=(),
        actions=BoxActions.unit(action_dim),
        control_dt=DT,
        num_steps=20,
        effector=Effector(
            sensor="tip", workspace=Box(low=tuple(-side for side in corner), high=corner), max_displacement=LONGEST
        ),
    )


def make_guardrails(spec=None, **changes):
    values = {
        "max_speed": math.inf,
        "speed_error": 0.0,
        "max_acceleration": math.inf,
        "acceleration_error": 0.0,
        "workspace": None,
        "margin": 0.0,
        "position_error": 0.0,
        "late_error": 0.0,
        "limits": None,
        "max_rate": None,
        "frozen_after": None,
        "probe": 0.1 * LONGEST,
        "max_surprise": None,
        "latency": 0,
    }
    return hard(spec=make_spec() if spec is None else spec, **(values | changes))


def guard(guardrails, action, *, last=None, tip=CENTER, surprise=0.0):
    if last is not None:
        last = GuardedAction(np.asarray(last, np.float32), (), ())
    readings = {"tip": np.asarray(tip, np.float32)}
    return guardrails.guard(np.asarray(action, np.float32), last=last, readings=readings, surprise=surprise)


def way(action):
    action = np.asarray(action, np.float64)
    return action / max(1.0, np.linalg.norm(action))


def test_an_allowed_action_passes_untouched():
    guardrails = make_guardrails(max_speed=2 * TOP_SPEED, max_acceleration=2 * UNIT, max_surprise=1.0)
    action = np.array([0.9, -0.8, 0.1], np.float32)  # longer than 1: the environment shortens it, and nobody else
    guarded = guard(guardrails, action, surprise=1.0)
    assert np.array_equal(guarded.action, action)
    assert guarded.action.dtype == np.float32
    assert guarded.interventions == guarded.reasons == ()


@pytest.mark.parametrize(
    ("changes", "situation", "expected", "names", "reason"),
    [
        ({}, {"action": [np.nan, 0.5, -np.inf]}, [0.0, 0.5, 0.0], ["non-finite"], "the action was [nan, 0.5, -inf]"),
        (
            {},
            {"action": [7.0, 0.0, 0.0]},
            [1.0, 0.0, 0.0],
            ["bounds"],
            "the action was [7.0, 0.0, 0.0], it must be 3 finite numbers in [-1, 1]",
        ),
        (
            {"max_speed": 0.5 * TOP_SPEED},
            {"action": [0.6, 0.8, 0.0]},
            [0.3, 0.4, 0.0],
            ["speed"],
            "0.6 m/s was asked for, at most 0.3 m/s",
        ),
        (
            {"max_acceleration": 0.5 * UNIT},
            {"action": [0.0, 0.8, 0.0], "last": [0.6, 0.0, 0.0]},
            [0.3, 0.4, 0.0],
            ["acceleration"],
            "12 m/s^2 was asked for, at most 6 m/s^2",
        ),
        (
            {},
            {"action": [0.6, 0.8, 0.0], "tip": [0.5 - 0.1 * LONGEST, 0.0, 0.0]},
            [0.1, 0.8, 0.0],
            ["workspace"],
            "0.015 m outside",
        ),
        (
            {"max_surprise": 0.25},
            {"action": [0.6, 0.8, 0.0], "surprise": 2.0},
            [0.0, 0.0, 0.0],
            ["surprise"],
            "the surprise was 2, at most 0.25",
        ),
        ({}, {"action": [0.6, 0.8, 0.0], "tip": [np.nan] * 3}, [0.0, 0.0, 0.0], ["blind"], "'tip' read nothing finite"),
    ],
)
def test_each_intervention_is_named_with_its_reason(changes, situation, expected, names, reason):
    guarded = guard(make_guardrails(**changes), **situation)
    assert guarded.action == pytest.approx(expected, abs=1e-6)
    assert guarded.interventions == tuple(names)
    assert len(guarded.reasons) == len(names)
    assert reason in guarded.reasons[0]


def test_a_tip_that_is_not_among_the_readings_stops_the_robot():
    guarded = make_guardrails().guard(np.ones(3, np.float32), last=None, readings={}, surprise=0.0)
    assert guarded.action.tolist() == [0.0, 0.0, 0.0]
    assert guarded.interventions == ("blind",)


@pytest.mark.parametrize("tip", [np.zeros(1, np.float32), None, "gone", {}])
def test_what_is_no_reading_of_the_tip_stops_the_robot(tip):
    guarded = make_guardrails().guard(np.ones(3, np.float32), last=None, readings={"tip": tip}, surprise=0.0)
    assert guarded.interventions == ("blind",)


@pytest.mark.parametrize("max_change", [1.75, 0.45, 0.1])
@pytest.mark.parametrize("frozen_after", [1, 2, 4])
def test_a_frozen_tip_never_lets_the_robot_out(max_change, frozen_after):
    spec = make_spec(half_width=0.2)
    guardrails = make_guardrails(spec, max_acceleration=max_change * UNIT, frozen_after=frozen_after)
    for frozen_from in range(1, 12):
        tip, last, shown, reached = np.zeros(3), None, CENTER, []
        for step in range(60):
            shown = np.float32(tip) if step <= frozen_from else shown
            last = guardrails.guard(np.float32([1.0, 0.5, 0.0]), last=last, readings={"tip": shown}, surprise=0.0)
            tip = tip + LONGEST * way(last.action)
            reached.append(tip.copy())
            if step <= frozen_from + frozen_after - 1:
                assert "blind" not in last.interventions
            else:
                assert "blind" in last.interventions
        assert np.abs(reached).max() <= 0.2 + 1e-5
        assert np.abs(np.diff(reached[-30:], axis=0)).max() <= 0.1 * LONGEST + 1e-6


@pytest.mark.parametrize("frozen_after", [None, 2])
def test_walls_hold_at_steps_without_a_reading_though_nobody_stops_the_blind(frozen_after):
    guardrails = make_guardrails(
        make_spec(half_width=0.2), limits=["finite", "box", "speed", "workspace"], frozen_after=frozen_after
    )
    tip, last = np.zeros(3), None
    for step in range(30):
        readings = {} if step % 5 else {"tip": np.float32(tip)}
        last = guardrails.guard(np.float32([1.0, 0.5, 0.0]), last=last, readings=readings, surprise=0.0)
        tip = tip + LONGEST * way(last.action)
        assert np.abs(tip).max() <= 0.2 + 1e-5
    assert "workspace" in last.interventions


def test_a_frozen_tip_names_itself_as_the_reason():
    guardrails, readings = make_guardrails(frozen_after=1), {"tip": CENTER}
    moving = guardrails.guard(np.float32([1.0, 0.0, 0.0]), last=None, readings=readings, surprise=0.0)
    guarded = guardrails.guard(np.float32([1.0, 0.0, 0.0]), last=moving, readings=readings, surprise=0.0)
    assert guarded.interventions == ("blind",)
    assert "the sensor 'tip' read the same after 1 control steps" in guarded.reasons[0]
    assert guarded.action.tolist() == [0.0, 0.0, 0.0]


def test_a_robot_that_was_held_finds_out_that_it_is_free_again():
    guardrails, tip, last, ways = make_guardrails(make_spec(half_width=2.0), frozen_after=2), np.zeros(3), None, []
    for step in range(40):
        last = guardrails.guard(np.float32([1.0, 0.0, 0.0]), last=last, readings={"tip": np.float32(tip)}, surprise=0.0)
        ways.append(last.action[0])
        tip = tip + LONGEST * way(last.action) * (step >= 20)
    assert ways[:8] == pytest.approx([1.0, 1.0, 0.0, 0.1, -0.1, 0.1, -0.1, 0.1])
    assert max(ways[8:20]) <= 0.1 + 1e-6
    assert ways[21:] == [1.0] * 19


def test_a_robot_that_rests_may_start_again():
    guardrails, last = make_guardrails(frozen_after=1), None
    for _ in range(5):
        last = guardrails.guard(np.zeros(3, np.float32), last=last, readings={"tip": CENTER}, surprise=0.0)
    assert guard(guardrails, [1.0, 0.0, 0.0], last=last.action).interventions == ()
    started = guardrails.guard(np.float32([1.0, 0.0, 0.0]), last=last, readings={"tip": CENTER}, surprise=0.0)
    assert started.interventions == ()


@pytest.mark.parametrize("surprise", [0.3, np.inf, np.nan])
def test_surprise_brakes_within_the_limit_and_lets_go_when_it_has_fallen(surprise):
    guardrails = make_guardrails(max_surprise=0.25, max_acceleration=0.4 * UNIT)
    full, last, ways = [0.6, 0.8, 0.0], [0.6, 0.8, 0.0], []
    for _ in range(4):
        last = guard(guardrails, full, last=last, surprise=surprise).action
        ways.append(last)
    assert np.array(ways) == pytest.approx(np.outer([0.6, 0.2, 0.0, 0.0], full), abs=1e-6)
    assert guard(guardrails, [0.1, 0.2, 0.3], last=last, surprise=0.25).interventions == ()


@pytest.mark.parametrize("action_dim", [1, 2, 3])
@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"max_acceleration": 1.75 * UNIT},
        {"max_acceleration": 0.1 * UNIT},
        {"max_speed": 0.4 * TOP_SPEED},
        {"max_speed": 0.3 * TOP_SPEED, "max_acceleration": 0.07 * UNIT},
    ],
)
def test_what_is_planned_inside_the_bounds_is_executed_to_the_last_bit(action_dim, limits):
    rng = np.random.default_rng(0)
    guardrails = make_guardrails(make_spec(action_dim), **limits)
    last = None
    for _ in range(300):
        wished = torch.from_numpy(rng.normal(size=(1, 4, action_dim)).astype(np.float32))
        plan = guardrails.bounds(last).clip(wished)[0].numpy()
        for action in plan:  # of one plan all actions
            last = guardrails.guard(action, last=last, readings={"tip": CENTER}, surprise=0.0)
            assert last.interventions == ()
            assert np.array_equal(last.action, action)


def test_the_bounds_are_as_wide_as_the_limits_allow():
    free = make_guardrails().bounds(None)
    assert (free.low.tolist(), free.high.tolist(), free.max_change) == ([-1.0] * 3, [1.0] * 3, None)
    limited = make_guardrails(max_acceleration=math.sqrt(3) * 0.25 * UNIT, max_speed=math.sqrt(3) * 0.5 * TOP_SPEED)
    bounds = limited.bounds(GuardedAction(np.array([0.1, 0.2, 0.3], np.float32), (), ()))
    assert bounds.high.tolist() == pytest.approx([0.5] * 3)
    assert bounds.max_change.tolist() == pytest.approx([0.25] * 3)
    assert bounds.previous_action.tolist() == [pytest.approx([0.1, 0.2, 0.3])]


@pytest.mark.parametrize("action_dim", [1, 2, 3])
@pytest.mark.parametrize("max_way", [1.0, 0.4])
@pytest.mark.parametrize("max_change", [1.75, 1.0, 0.45, 0.1, 0.03])
def test_a_robot_that_obeys_never_breaks_a_limit(action_dim, max_way, max_change):
    rng = np.random.default_rng(0)
    spec = make_spec(action_dim, half_width=0.2)
    guardrails = make_guardrails(
        spec, max_speed=max_way * TOP_SPEED, max_acceleration=max_change * UNIT, max_surprise=1.0
    )
    tip, last, reached = np.zeros(3), None, 0.0
    hold = np.zeros(action_dim)
    for step in range(2000):
        if step % 20 == 0:
            hold = rng.choice([-1.0, 1.0, 0.3, np.nan, 1e9, -1e9], action_dim)
        action = hold if rng.uniform() < 0.9 else rng.choice([np.nan, np.inf, 1e9, -1e9, -1.0, 1.0, 0.1], action_dim)
        readings = {"tip": np.float32(tip) if rng.uniform() < 0.98 else np.full(3, np.nan, np.float32)}
        surprise = rng.choice([0.0, 2.0, np.nan], p=[0.98, 0.01, 0.01])
        before = np.zeros(action_dim) if last is None else way(last.action)
        last = guardrails.guard(np.float32(action), last=last, readings=readings, surprise=surprise)
        now = way(last.action)
        tip[:action_dim] += LONGEST * now
        assert np.abs(last.action).max() <= 1.0
        assert np.linalg.norm(now) <= max_way + 1e-6
        assert np.linalg.norm(now - before) <= max_change + 1e-5
        assert np.abs(tip).max() <= 0.2 + 1e-5
        reached = max(reached, np.abs(tip).max())
    assert reached > 0.199  # walls may be touched


def test_the_tip_brakes_before_the_wall_and_comes_to_rest_at_it():
    guardrails = make_guardrails(max_acceleration=0.1 * UNIT)
    tip, last, speeds = np.zeros(3), None, []
    for _ in range(60):
        last = guardrails.guard(np.float32([1.0, 0.0, 0.0]), last=last, readings={"tip": np.float32(tip)}, surprise=0.0)
        tip += LONGEST * way(last.action)
        speeds.append(last.action[0])
    assert max(speeds) == pytest.approx(1.0)
    assert tip[0] == pytest.approx(0.5, abs=1e-5)
    assert np.abs(np.diff(speeds)).max() <= 0.1 + 1e-6


def test_a_tip_at_the_wall_may_walk_along_it_and_away_from_it():
    guardrails, tip = make_guardrails(max_acceleration=1.5 * UNIT), [0.5, 0.0, 0.0]
    assert guard(guardrails, [0.6, 0.8, 0.0], tip=tip).action == pytest.approx([0.0, 0.8, 0.0], abs=1e-6)
    for free in ([0.0, 1.0, -0.5], [-0.7, 0.3, 0.0]):
        assert guard(guardrails, free, tip=tip).interventions == ()


def test_a_tip_outside_is_brought_back_within_the_limits():
    guardrails = make_guardrails(
        workspace={"low": [-0.1] * 3, "high": [0.1] * 3}, max_speed=0.5 * TOP_SPEED, max_acceleration=0.2 * UNIT
    )
    tip, last, ways = np.array([0.4, -0.3, 0.0]), None, [np.zeros(3)]
    for _ in range(60):
        last = guardrails.guard(np.float32([1.0, 0.0, 0.0]), last=last, readings={"tip": np.float32(tip)}, surprise=0.0)
        ways.append(way(last.action))
        tip += LONGEST * ways[-1]
    assert (np.abs(tip) <= 0.1 + 1e-5).all()
    assert np.linalg.norm(ways, axis=1).max() <= 0.5 + 1e-6
    assert np.linalg.norm(np.diff(ways, axis=0), axis=1).max() <= 0.2 + 1e-5


def test_commands_keep_away_from_the_limits_by_the_errors_of_the_robot():
    guardrails = make_guardrails(
        max_speed=0.9 * TOP_SPEED,
        speed_error=0.2 * TOP_SPEED,
        max_acceleration=0.8 * UNIT,
        acceleration_error=0.5 * UNIT,
        margin=0.01,
        position_error=0.015,
    )
    assert guard(guardrails, [1.0, 0.0, 0.0]).action[0] == pytest.approx(0.3)
    assert guard(guardrails, [1.0, 0.0, 0.0], last=[0.7, 0.0, 0.0]).action[0] == pytest.approx(0.7)
    near = [0.5 - 0.005 - 0.2 * LONGEST, 0.0, 0.0]
    assert guard(guardrails, [1.0, 0.0, 0.0], tip=near).action[0] == pytest.approx(0.2, abs=1e-5)


def test_what_is_given_is_left_as_it_was():
    action, tip = np.array([np.nan, 9.0, -9.0], np.float32), np.full(3, 0.499, np.float32)
    last = GuardedAction(np.full(3, 0.5, np.float32), (), ())
    make_guardrails(max_acceleration=UNIT).guard(action, last=last, readings={"tip": tip}, surprise=0.0)
    assert np.array_equal(action, np.array([np.nan, 9.0, -9.0], np.float32), equal_nan=True)
    assert np.array_equal(tip, np.full(3, 0.499, np.float32))
    assert np.array_equal(last.action, np.full(3, 0.5, np.float32))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("overrides", "sensor_loss", "freezing", "latency"),
    [
        *(([f"guardrails={name}"], loss, False, 0) for name in group_names()["guardrails"] for loss in (0.0, 0.2)),
        *(([f"guardrails={name}"], 0.0, True, 0) for name in group_names()["guardrails"]),
        *(([f"guardrails={name}"], 0.0, False, latency) for name in group_names()["guardrails"] for latency in (1, 4)),
        (NARROW, 0.0, True, 0),
        (LOWER, 0.0, False, 0),
        (LOWER, 0.0, True, 0),
        (LOWER, 0.0, True, 4),
    ],
)
def test_no_hostile_planner_makes_the_simulated_robot_break_a_limit(task, overrides, sensor_loss, freezing, latency):
    faults = {"sensor_loss": sensor_loss, "freezing": freezing, "latency": latency}
    tallies, changed = attack(task, overrides, guarded=True, num_steps=1600, **faults, seed=10_000)
    assert {name: tally.worst for name, tally in tallies.items() if tally.violations} == {}
    assert changed > 0.5


@pytest.mark.parametrize("task", TASKS)
def test_without_guardrails_the_same_planners_break_them(task):
    tallies, _ = attack(
        task, [], guarded=False, num_steps=1600, sensor_loss=0.0, freezing=False, latency=0, seed=10_000
    )
    broken = {name for name, tally in tallies.items() if tally.violations}
    assert {"told: acceleration, m/s²", "told: target outside, mm", "done: tip outside, mm"} <= broken


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_speed": 0}, "max_speed must be a number above speed_error=0.0, got 0"),
        ({"max_speed": 0.3, "speed_error": 0.3}, "max_speed must be a number above speed_error=0.3, got 0.3"),
        ({"max_speed": math.nan}, "max_speed must be a number above speed_error=0.0, got nan"),
        ({"max_speed": "fast"}, "max_speed must be a number above speed_error=0.0, got fast"),
        ({"max_acceleration": -1.0}, "max_acceleration must be a number above acceleration_error=0.0, got -1.0"),
        ({"acceleration_error": math.inf}, "acceleration_error must be at least 0 and finite, got inf"),
        ({"speed_error": -0.1}, "speed_error must be at least 0 and finite, got -0.1"),
        ({"margin": -0.1}, "margin must be at least 0 and finite, got -0.1"),
        ({"position_error": True}, "position_error must be at least 0 and finite, got True"),
        ({"position_error": 0.6}, "workspace must leave room for commands that stay 0.6 m inside its margin of 0.0 m"),
        ({"workspace": {"low": [1.0] * 3, "high": [0.0] * 3}}, "workspace must leave room"),
        ({"workspace": {"low": [0.0] * 3, "high": [math.nan] * 3}}, "workspace must leave room"),
        ({"workspace": {"low": [0.0], "high": [1.0]}}, "workspace must have 3 dimensions"),
        ({"workspace": {"low": [0.0] * 3}}, "workspace must be null or like {low: "),
        ({"workspace": [0.0, 1.0]}, "workspace must be null or like {low: "),
        ({"frozen_after": 0}, "frozen_after must be at least 1, or null, got 0"),
        ({"probe": 0.0}, "probe must be above 0 and finite, got 0.0"),
        ({"max_surprise": 0.0}, "max_surprise must be a number above 0, or null for any, got 0.0"),
        ({"max_surprise": math.nan}, "max_surprise must be a number above 0, or null for any, got nan"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_guardrails(**changes)


# Limits that begin to bind


@pytest.mark.parametrize("action_dim", [1, 2, 3])
@pytest.mark.parametrize(
    ("key", "whole"), [("max_speed", TOP_SPEED), ("max_acceleration", 2.0 * UNIT)], ids=["speed", "acceleration"]
)
def test_the_bounds_do_not_jump_where_a_limit_begins_to_bind(action_dim, key, whole):
    def widths(share):
        bounds = make_guardrails(make_spec(action_dim), **{key: share * whole}).bounds(None)
        change = 2.0 if bounds.max_change is None else float(bounds.max_change[0])
        return float(bounds.high[0]) if key == "max_speed" else change

    shares = np.linspace(0.5, 1.1, 1201)
    found = np.array([widths(share) for share in shares])
    assert found[-1] == {"max_speed": 1.0, "max_acceleration": 2.0}[key]
    assert np.diff(found).min() >= 0.0
    assert np.diff(found).max() < 0.01


def test_what_is_planned_just_below_a_limit_is_shortened_by_no_more_than_the_limit_is_below_the_whole():
    guardrails = make_guardrails(max_speed=0.95 * TOP_SPEED)
    corner = guardrails.bounds(None).high.numpy()
    assert np.linalg.norm(way(corner)) > 0.95
    guarded = guard(guardrails, corner)
    assert np.linalg.norm(guarded.action) == pytest.approx(0.95)
    assert guarded.interventions == ("speed",)


# Any robot


def other_robot(actions, effector=None):
    return replace(make_spec(), actions=actions, effector=effector)


FORCES = BoxActions(low=(0.0, 0.0), high=(300.0, 20.0), idle=None)
MOTORS = BoxActions(low=(-5.0,), high=(10.0,), idle=(1.0,))
TENTHS = BoxActions(low=(-0.1,), high=(0.1,), idle=None)
MOVES = DiscreteActions(num_actions=4, idle=2)
TURNS = DiscreteActions(num_actions=3, idle=None)


def test_a_robot_without_an_effector_has_the_limits_of_any_robot():
    guardrails = make_guardrails(other_robot(FORCES), max_surprise=1.0, max_rate=0.1)
    assert [limit.name for limit in guardrails.limits] == ["non-finite", "bounds", "surprise", "rate"]
    assert guardrails.sensors == ()
    assert [limit.name for limit in make_guardrails(max_surprise=1.0).limits] == [
        "non-finite",
        "bounds",
        "surprise",
        "blind",
        "speed",
        "acceleration",
        "workspace",
    ]


def test_whose_actions_also_do_something_else_than_move_the_effector_has_the_limits_of_any_robot():
    guardrails = make_guardrails(other_robot(BoxActions.unit(4), make_spec().effector))
    assert [limit.name for limit in guardrails.limits] == ["non-finite", "bounds"]
    assert guard(guardrails, [1.0, 0.0, 0.0, 2.0], last=[0.0] * 4).action.tolist() == [1.0, 0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("actions", "last", "action", "expected", "names"),
    [
        (FORCES, None, [250.0, 3.0], [250.0, 3.0], []),
        (FORCES, None, [-1.0, 25.0], [0.0, 20.0], ["bounds"]),
        (FORCES, None, [np.nan, 5.0], [150.0, 5.0], ["non-finite"]),
        (FORCES, [30.0, 2.0], [np.nan, 5.0], [30.0, 5.0], ["non-finite"]),
        (MOTORS, [9.0], [np.inf], [1.0], ["non-finite"]),
        (TENTHS, None, [7.0], [float(np.nextafter(np.float32(0.1), np.float32(0)))], ["bounds"]),
        (MOVES, None, [0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 1.0], []),
        (MOVES, None, [0.2, 0.1, 0.3, 0.9], [0.0, 0.0, 0.0, 1.0], ["bounds"]),
        (MOVES, None, [np.nan] * 4, [0.0, 0.0, 1.0, 0.0], ["non-finite"]),
        (TURNS, [0.0, 1.0, 0.0], [np.nan] * 3, [0.0, 1.0, 0.0], ["non-finite"]),
    ],
)
def test_an_action_becomes_one_that_the_robot_has(actions, last, action, expected, names):
    guarded = guard(make_guardrails(other_robot(actions)), action, last=last)
    assert guarded.action.tolist() == expected and guarded.interventions == tuple(names)
    assert bool(actions.contains(guarded.action))


@pytest.mark.parametrize(
    ("actions", "last", "expected"),
    [
        (MOTORS, [9.0], [1.0]),
        (FORCES, [30.0, 2.0], [30.0, 2.0]),
        (FORCES, None, [150.0, 10.0]),
        (MOVES, [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]),
        (TURNS, [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]),
        (TURNS, None, [1.0, 0.0, 0.0]),
    ],
)
def test_who_is_surprised_does_nothing_or_as_before_where_nothing_does(actions, last, expected):
    asked = np.eye(actions.action_dim)[-1]
    guarded = guard(make_guardrails(other_robot(actions), max_surprise=0.5), asked, last=last, surprise=2.0)
    assert guarded.action.tolist() == expected and guarded.interventions == ("surprise",)


def test_a_rate_keeps_each_component_near_what_it_was_and_bounds_tell_so():
    guardrails = make_guardrails(other_robot(FORCES), max_rate=0.1)
    guarded = guard(guardrails, [300.0, 11.0], last=[100.0, 10.0])
    assert guarded.action.tolist() == [130.0, 11.0] and guarded.interventions == ("rate",)
    assert "component 0 of the action would have changed by 200, at most 30 is allowed" in guarded.reasons[0]
    bounds = guardrails.bounds(GuardedAction(np.float32([100.0, 10.0]), (), ()))
    assert bounds.max_change.tolist() == [30.0, 2.0] and bounds.previous_action.tolist() == [[100.0, 10.0]]
    assert guardrails.bounds(None).max_change is None  # nothing was done yet, and nothing does nothing


def test_the_bounds_of_a_choice_are_its_choices():
    bounds = make_guardrails(other_robot(MOVES)).bounds(None)
    assert torch.equal(bounds.choices, torch.eye(4))


@pytest.mark.parametrize(
    ("spec", "changes", "message"),
    [
        (
            other_robot(FORCES),
            {"limits": ["finite", "box", "speed"]},
            r"the limit 'speed' needs an effector, and test/Tip-v0 has none.*: do without it by limits=\[finite,box\]",
        ),
        (
            replace(make_spec(2), actions=FORCES),
            {"limits": ["workspace"]},
            "the limit 'workspace' needs actions that are ways of the effector, each component in \\[-1, 1\\], not 2 ",
        ),
        (
            other_robot(BoxActions.unit(4), make_spec().effector),
            {"limits": ["finite", "workspace"]},
            "the limit 'workspace' needs actions of 3 components, as many as the effector has ways, not 4 finite ",
        ),
        (
            other_robot(FORCES),
            {"workspace": {"low": [0.0], "high": [1.0]}},
            "workspace must be null here, got .*: the limit 'workspace' needs an effector, and test/Tip-v0 has none",
        ),
        (other_robot(MOVES), {"max_rate": 0.5}, "the limit 'rate' needs actions that are numbers in a box"),
        (make_spec(), {"limits": ["velocity"]}, "limits must be some of finite, box, rate, .*, got 'velocity'"),
        (make_spec(), {"limits": ["box", "rate"]}, "max_rate must be a number where limits name 'rate', got null"),
        (make_spec(), {"limits": ["surprise"]}, "max_surprise must be a number where limits name 'surprise', got null"),
        (make_spec(), {"max_rate": 0.0}, "max_rate must be above 0 and at most 1 and finite, got 0.0"),
    ],
)
def test_a_limit_that_a_robot_cannot_have_is_refused_by_name(spec, changes, message):
    with pytest.raises(ValueError, match=message):
        make_guardrails(spec, **changes)


def test_only_the_limits_that_are_named_are_kept():
    guardrails = make_guardrails(limits=["finite", "box"], max_speed=0.1 * TOP_SPEED)
    assert guard(guardrails, [1.0, 0.0, 0.0], tip=[9.0, 9.0, 9.0]).interventions == ()
    assert guardrails.sensors == () and guardrails.bounds(None).high.tolist() == [1.0] * 3
