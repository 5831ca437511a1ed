"""`jepa-mpc evaluate diagnose=N`, as it is called."""

import json

import pytest

from agent.evaluation.diagnosis import EXCHANGES
from agent.evaluation.outcomes import OUTCOMES
from agent.run.cli import main

SMALL = ["videos=0", "num_workers=1", "num_episodes=2", "planner.num_samples=8", "planner.num_elites=2"]


def test_the_first_failed_episodes_are_run_again_with_one_part_exchanged(smoke_run, tmp_path, capsys):
    command = ["evaluate", f"run={smoke_run}", f"output={tmp_path}/out", *SMALL, "configurator.horizon=1"]
    assert main([*command, "diagnose=1"]) == 0
    assert "one part exchanged at a time: budget" in capsys.readouterr().out
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    found = results["diagnosis"]
    failed = [it for it in results["agents"]["actor"]["episodes"] if not it["success_at_end"]]
    assert found["num_failed"] == len(failed) == 2 and found["num_replayed"] == 1
    (episode,) = found["episodes"]
    assert episode["seed"] == failed[0]["seed"] and episode["outcome"] in OUTCOMES
    assert tuple(episode["successes"]) == EXCHANGES
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Which part was missing" in page and "1 of 2 failed episodes" in page
    assert set(results["agents"]) == {"actor", "random", "zero", "expert"}  # replays are no agents of the table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("diagnose=-1", "evaluate.diagnose must be a whole number in 0..1000, got -1"),
        ("planner=gradient", "the oracle model simulates, so it has no gradients"),
    ],
)
def test_what_cannot_be_diagnosed_is_one_sentence(smoke_run, tmp_path, capsys, change, message):
    command = ["evaluate", f"run={smoke_run}", f"output={tmp_path}/out", "num_episodes=1", "diagnose=1", change]
    assert main(command) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_who_only_reacts_has_nothing_to_exchange(smoke_push_run, tmp_path, capsys):
    command = ["evaluate", f"run={smoke_push_run}", f"output={tmp_path}/out", "num_episodes=1", "diagnose=1"]
    assert main([*command, "actor.mode=reactive"]) == 2
    assert "evaluate.diagnose must be 0 with actor.mode=reactive, got 1" in capsys.readouterr().err
