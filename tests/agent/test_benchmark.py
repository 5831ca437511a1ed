import csv
import io
import xml.etree.ElementTree as ElementTree

import pytest

from agent.evaluation.benchmark import (
    Cell,
    as_csv,
    as_junit,
    below,
    format_benchmark,
    interquartile_mean,
    make_benchmark,
    performance_profile,
)
from agent.evaluation.statistics import pooled_rate, success_rate

DESCRIPTION = {
    "protocol": {},
    "split": "validation",
    "num_episodes": 10,
    "seeds": [0, 1, 2],
    "fail_under": 0.5,
    "published": ["others: 50 %"],
    "versions": {},
}


def successes(number):
    return [True] * number + [False] * (10 - number)


def results(number, *, solved=0):
    """Returns what results.json holds of an evaluation with so many successes among ten episodes."""
    episodes = [{"success_at_end": it, "success_once": True, "solved_at_start": False} for it in successes(number)]
    episodes += [{"success_at_end": True, "success_once": True, "solved_at_start": True}] * solved
    rate = success_rate(successes(number))
    actor = {"success_at_end": vars(rate), "success_once": vars(rate), "episodes": episodes}
    lost = [{"success_at_end": False, "success_once": False, "solved_at_start": False}] * 10
    return {
        "first_entry": 0,
        "evaluation_looks": 1,
        "checkpoint": {"sha256": "0"},
        "latency_ms": None,
        "agents": {"actor": actor, "random": {"episodes": lost}},
    }


@pytest.fixture
def benchmark():
    files = {0: "cells/a/results.json", 1: "cells/b/results.json", 2: "cells/c/results.json"}
    cells = [
        Cell("push", "planning", {0: results(10), 1: results(10), 2: results(9, solved=3)}, files, None, stopped=False),
        Cell("push", '<reactive> & "more"', {}, files, "a policy is missing", stopped=False),
        Cell("reach", "planning", {0: results(2), 1: results(1)}, files, None, stopped=False),
    ]
    return make_benchmark(cells, DESCRIPTION)


def test_every_seed_is_shown_beside_the_pooled_interval(benchmark):
    pooled = pooled_rate([successes(10), successes(10), successes(9)])
    assert benchmark["cells"][0]["pooled"]["success_at_end"] == vars(pooled)
    assert "by seed: 100.0, 100.0, 90.0" in format_benchmark(benchmark)
    assert "published: others: 50 %" in format_benchmark(benchmark)


def test_baselines_are_one_over_the_entries_of_all_seeds(benchmark):
    (pushed, reached) = benchmark["baselines"]
    assert (pushed["task"], pushed["agent"]) == ("push", "random") and reached["task"] == "reach"
    assert pushed["pooled"]["success_at_end"] == vars(success_rate([False] * 30))


def test_a_cell_that_cannot_be_says_why(benchmark):
    assert benchmark["cells"][1]["pooled"] is None
    assert "-  (a policy is missing)" in format_benchmark(benchmark)


def test_cells_below_the_threshold_fail_by_their_lower_bound(benchmark):
    assert [row["task"] for row in below(benchmark, 0.5)] == ["reach"]
    assert len(below(benchmark, 0.99)) == 2 and not below(benchmark, 0.0)


def test_junit_tells_failures_and_what_was_skipped_whatever_the_names(benchmark):
    suite = ElementTree.fromstring(as_junit(benchmark))
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "1", "1")
    cases = list(suite)
    assert cases[1].get("name") == '<reactive> & "more"' and cases[1].find("skipped").get("message")
    assert cases[0].find("failure") is None and "is below 0.5" in cases[2].find("failure").get("message")


def test_csv_has_a_line_for_each_seed_and_one_for_all(benchmark):
    rows = list(csv.DictReader(io.StringIO(as_csv(benchmark))))
    push = [row for row in rows if (row["task"], row["agent"]) == ("push", "planning")]
    assert [(row["seed"], row["n"], float(row["at_end"])) for row in push] == [
        ("0", "10", 1.0),
        ("1", "10", 1.0),
        ("2", "10", 0.9),
        ("", "30", pytest.approx(29 / 30)),
    ]
    assert [row["seed"] for row in rows if row["agent"] == "random"] == ["", ""]


def runs(*rates):
    return {str(seed): {"success_at_end": {"rate": rate}} for seed, rate in enumerate(rates)}


def test_the_interquartile_mean_leaves_the_outer_quarters_out():
    found = interquartile_mean([runs(0.0, 0.5), runs(0.6, 1.0)])
    assert found == {"rate": pytest.approx(0.55), "num_tasks": 2, "num_trainings": 4}
    assert interquartile_mean([]) is None


def test_a_profile_falls_from_all_runs_to_those_that_always_succeed():
    assert performance_profile([runs(0.5, 1.0), runs(1.0, 0.0)]) == [(0.0, 1.0), (0.5, 0.75), (1.0, 0.5)]
