"""Benchmarks of a finished run in altered worlds and towards far goals."""

import json

import pytest

from benchmarks.agent import far_goals, robustness

FEW = ("num_episodes=1", "num_workers=1", "split=validation")


@pytest.fixture
def told(monkeypatch, smoke_push_run, tmp_path):
    """Returns what a benchmark of the run writes."""

    def call(benchmark):
        monkeypatch.setattr("sys.argv", ["benchmark", f"run={smoke_push_run}", f"output={tmp_path}", *FEW])
        benchmark.main()
        return json.loads((tmp_path / benchmark.FILE).read_text())

    return call


def test_only_what_an_agent_can_notice_is_altered(told, monkeypatch):
    monkeypatch.setattr(
        robustness, "LATENCIES", (5,)
    )  # a model step is four control steps, and a horizon is long enough
    found = told(robustness)
    unseen = [
        name for name, changes in robustness.ALTERATIONS.items() if changes[0].split("=")[0] in robustness.OF_CAMERAS
    ]
    assert found["left_out"] == unseen
    assert set(found["worlds"]) == {robustness.AS_IT_IS, "5 control steps late"} | set(robustness.ALTERATIONS) - set(
        unseen
    )
    assert found["worlds"][robustness.AS_IT_IS]["difference_at_end"]["difference"] == 0


def test_far_goals_are_pursued_with_and_without_the_critic(told, monkeypatch):
    monkeypatch.setattr(far_goals, "OFFSETS", (25,))
    found = told(far_goals)
    assert list(found["goals"]) == ["25 steps ahead", "25 steps ahead, planning without critic"]
