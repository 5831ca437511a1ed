"""Success by what it cost, on runs that take a moment."""

import json

import pytest

from benchmarks.agent import learning_curve
from benchmarks.agent.learning_curve_plot import plot_curve

RATE = {"rate": 0.5, "low": 0.3, "high": 0.7, "n": 20}


@pytest.fixture
def trace(monkeypatch, tmp_path):
    """Returns the findings of a curve over two shares, and counts the runs that were made."""

    def call():
        arguments = ["env=reach", "collect.num_episodes=12", "training.num_steps=40", "collect.num_workers=1"]
        arguments += ["evaluate.num_workers=1", "shares=[0.5,1]", "num_episodes=2", f"output={tmp_path}"]
        monkeypatch.setattr("sys.argv", ["learning_curve", *arguments, "evaluate.videos=0"])
        learning_curve.main()
        return json.loads((tmp_path / learning_curve.FILE).read_text())

    return call


def test_each_run_has_its_share_of_episodes_and_goes_on_as_it_was(trace, tmp_path):
    found = trace()
    assert [point["episodes"] for point in found["points"]] == [6, 12]
    assert found["points"][0]["frames"] < found["points"][1]["frames"]
    assert all(point["seconds"] > 0 for point in found["points"])
    assert (tmp_path / learning_curve.PLOT).stat().st_size > 1000
    assert trace() == found  # nothing is run, and no time taken, once more


def test_what_took_an_unknown_time_is_left_out_of_the_minutes():
    points = [
        {"frames": frames, "seconds": seconds, "success_at_end": RATE, "success_once": RATE}
        for frames, seconds in ((1000, 60.0), (2000, None), (4000, 240.0))
    ]
    frames, minutes = plot_curve(points).axes
    assert list(frames.lines[0].get_xdata()) == [1, 2, 4] and list(minutes.lines[0].get_xdata()) == [1, 4]
