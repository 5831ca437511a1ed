from dataclasses import replace

import pytest

from agent.evaluation.seeds import SPLIT_SIZE
from agent.evaluation.view.keys import KEYS, Switches, press

CODES = {key.name: code for code, key in KEYS.items()}
SWITCHES = Switches(
    planners=("cem", "icem", "mppi"),
    modes=("planning", "hybrid", "reactive"),
    planner="icem",
    mode="planning",
    episode=4,
)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("Right", {"planner": "mppi"}),
        ("Left", {"planner": "cem"}),
        ("8", {"mode": "hybrid"}),
        ("9", {"mode": "reactive"}),
        ("7", {"mode": "planning"}),
        ("Enter", {"episode": 5}),
        ("Space", {"paused": True}),
        ("F8", {"shows_keys": True}),
    ],
)
def test_a_key_changes_what_it_says_and_nothing_else(name, changed):
    assert press(SWITCHES, CODES[name]) == replace(SWITCHES, **changed)


def test_planners_go_round_and_so_do_episodes():
    assert press(replace(SWITCHES, planner="mppi"), CODES["Right"]).planner == "cem"
    assert press(replace(SWITCHES, planner="cem"), CODES["Left"]).planner == "mppi"
    assert press(replace(SWITCHES, episode=SPLIT_SIZE - 1), CODES["Enter"]).episode == 0


@pytest.mark.parametrize("name", ["Space", "F8"])
def test_a_toggle_pressed_twice_changes_nothing(name):
    assert press(press(SWITCHES, CODES[name]), CODES[name]) == SWITCHES


def test_without_a_policy_modes_that_need_one_are_told_until_the_next_key():
    alone = replace(SWITCHES, modes=("planning",))
    refused = press(alone, CODES["9"])
    assert refused == replace(alone, notice="no reactive here: the run has no policy")
    assert press(refused, CODES["7"]) == alone


def test_any_other_key_changes_nothing():
    refused = replace(SWITCHES, notice="it cannot")
    assert press(refused, ord("Q")) == refused


def test_no_key_is_one_that_the_viewer_has_a_use_for():
    letters, groups, functions = set(range(65, 91)), set(range(48, 54)), set(range(290, 297))
    assert not set(KEYS) & (letters | groups | functions)
