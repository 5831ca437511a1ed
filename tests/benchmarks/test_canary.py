"""A canary that judges falsely is worse than none."""

import json
import sys

import pytest

from benchmarks.canary import __main__ as canary
from benchmarks.canary.check import Check, judge
from jepa_mpc.errors import UserError


@pytest.mark.parametrize(
    ("value", "bounds", "passed"),
    [
        (0.0, {"most": 0}, True),
        (1e-12, {"most": 0}, False),
        (1.0, {"least": 1, "most": 1}, True),
        (0.9, {"least": 1, "most": 1}, False),
        (0.8, {"least": 0.8}, True),
        (float("nan"), {"most": 1}, False),
        (float("nan"), {"least": 0}, False),
        (float("inf"), {"least": 0, "most": 1}, False),
    ],
)
def test_a_number_passes_inside_its_bounds_alone_and_one_that_is_none_never(value, bounds, passed):
    assert judge(Check("it holds", lambda: value, **bounds)).passed == passed


def test_a_line_says_what_was_measured_and_what_is_allowed():
    line = judge(Check("error", lambda: 0.25, least=0, most=0.125)).line
    assert line == "FAILED  error: 0.25, at least 0 and at most 0.125"


def test_what_cannot_be_measured_fails_in_one_line_and_keeps_its_traceback():
    outcome = judge(Check("error", lambda: int("a\nb"), most=1))
    assert not outcome.passed and "\n" not in outcome.line
    assert outcome.line.startswith("FAILED  error: could not be measured: ValueError: invalid literal")
    assert "Traceback" in outcome.traceback


def test_one_check_that_fails_is_exit_code_1_and_stops_no_other(monkeypatch, tmp_path, capsys):
    checks = [Check("first", lambda: 1 / 0), Check("second", lambda: 2.0, most=1), Check("third", lambda: 0.0, most=1)]
    monkeypatch.setattr(canary, "judge_everything", lambda output, seed: canary.judge_all(checks))
    monkeypatch.setattr(sys, "argv", ["canary", f"output={tmp_path / 'new'}"])
    with pytest.raises(SystemExit) as stop:
        canary.main()
    assert stop.value.code == 1
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said[:3]] == ["FAILED  first", "FAILED  second", "ok      third"]
    found = json.loads((tmp_path / "new" / canary.FINDINGS).read_text())
    assert [it["passed"] for it in found] == [False, False, True]


def test_a_folder_of_an_earlier_canary_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["canary", f"output={tmp_path}"])
    with pytest.raises(UserError, match="output must be a new folder"):
        canary.main()


def test_without_a_finished_run_nothing_is_asked_of_it(monkeypatch, tmp_path):
    for part in (canary.environment, canary.planning):
        monkeypatch.setattr(part, "checks", lambda seed: [])
    monkeypatch.setattr(canary.SmallRun, "make", lambda output, seed: 1 / 0)
    (outcome,) = canary.judge_everything(tmp_path, 0)
    assert not outcome.passed and "ZeroDivisionError" in outcome.line
