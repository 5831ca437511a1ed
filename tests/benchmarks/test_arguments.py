import sys

import pytest

from benchmarks.agent import disturbances
from benchmarks.arguments import call, read_settings, split_settings


def test_settings_are_known_or_refused():
    defaults = {"run": "???", "num_episodes": 300}
    assert read_settings(defaults, ["run=runs/a", "num_episodes=3"]) == {"run": "runs/a", "num_episodes": 3}
    with pytest.raises(SystemExit, match="there is no setting 'episodes'; there are run, num_episodes"):
        read_settings(defaults, ["run=runs/a", "episodes=3"])
    with pytest.raises(SystemExit, match=r"needs run=\.\.\."):
        read_settings(defaults, [])


def test_what_is_no_setting_changes_the_config():
    settings, changes = split_settings(
        {"run": "???", "change": {}}, ["planner=cem", "run=a", "change.cem.n=3", "seed=1"]
    )
    assert settings == {"run": "a", "change": {"cem": {"n": 3}}}
    assert changes == ("planner=cem", "seed=1")


def test_help_says_what_a_benchmark_does_and_runs_nothing(monkeypatch, capfd):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))  # to be put back
    monkeypatch.setattr(sys, "argv", ["benchmark", "--help"])
    call(disturbances.main)
    assert capfd.readouterr().out.strip() == str(disturbances.__doc__).strip()
