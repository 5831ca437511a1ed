import pytest

from agent.evaluation.benchmark import Cell, make_benchmark
from agent.evaluation.pairs import pair
from agent.evaluation.report.benchmark import benchmark_report
from agent.evaluation.report.document import render
from agent.evaluation.report.pairs import comparison_report, points
from agent.evaluation.results import percent
from agent.evaluation.statistics import success_rate

HOSTILE = "\"'><script>alert(1)</script>"


def results(at_end, *, first_entry=0):
    """Returns what results.json holds of an evaluation with these ends of its episodes."""
    rate = vars(success_rate(at_end))
    episodes = [
        {"seed": first_entry + index, "success_at_end": it, "success_once": it, "solved_at_start": False}
        for index, it in enumerate(at_end)
    ]
    actor = {"success_at_end": rate, "success_once": rate, "episodes": episodes}
    lost = [it | {"success_at_end": False, "success_once": False} for it in episodes]
    return {
        "env": "push",
        "scenario": "undisturbed",
        "scenario_values": {},
        "split": "validation",
        "observation": "state",
        "planner": "cem",
        "mode": "planning",
        "note": None,
        "seed": 0,
        "versions": {"torch": "2"},
        "first_entry": first_entry,
        "evaluation_looks": 3,
        "checkpoint": {"sha256": "abc"},
        "latency_ms": None,
        "agents": {"actor": actor, "random": {"episodes": lost}},
    }


GOOD, BETTER = [True, False, False, True] * 5, [True, True, False, True] * 5


@pytest.fixture(scope="module")
def benchmark():
    files = {0: "cells/a/results.json", 1: "cells/b/results.json"}
    cells = [
        Cell("push", "planning", {0: results(GOOD), 1: results(BETTER, first_entry=20)}, files, None, stopped=False),
        Cell("push", HOSTILE, {}, files, "a policy is missing", stopped=False),
    ]
    description = {
        "protocol": {"name": "protocol 1", "described_in": "docs/evaluation.md"},
        "split": "validation",
        "num_episodes": 20,
        "seeds": [0, 1],
        "fail_under": None,
        "published": ["others: 50 % of theirs"],
        "versions": {"torch": "2"},
    }
    return make_benchmark(cells, description)


@pytest.fixture(scope="module")
def comparison():
    return {
        "folders": [f"runs/{HOSTILE}", "runs/second"],
        "pairs": [pair("", results(BETTER), results(GOOD))],
    }


def test_a_benchmark_shows_every_training_and_the_interval_of_all(benchmark):
    page = render(benchmark_report(benchmark, [], name="b", commands=["jepa-mpc benchmark"]))
    (row, _) = benchmark["cells"]
    assert f"<td>{percent(row['pooled']['success_at_end'])}</td>" in page
    for run in row["seeds"].values():
        assert f"<td>{percent(run['success_at_end'])}</td>" in page
    assert percent(row["pooled"]["success_at_end"]).startswith("62.5 %")
    assert "a policy is missing" in page
    assert "planning 100 % reach 0 %, 100 % reach 50 %, 50 % reach 75 %, 0 % reach 100 %" in page
    for text in ("cells/b", "protocol 1", "50 % of theirs", "jepa-mpc benchmark"):
        assert text in page


def test_agents_are_compared_pair_by_pair_where_there_are_pairs(benchmark, comparison):
    with_pairs, without = (
        render(benchmark_report(benchmark, pairs, name="b", commands=[])) for pairs in (comparison["pairs"], [])
    )
    assert "Agent against agent" in with_pairs and "Agent against agent" not in without


def test_a_comparison_shows_what_was_found(comparison):
    page = render(comparison_report(comparison, commands=["jepa-mpc compare a b output=c"]))
    (found,) = comparison["pairs"]
    assert found["only_first"] == [1, 5, 9, 13, 17]
    assert points(found["success_at_end"]).startswith("+25.0 (")
    assert f"<td>{points(found['success_at_end'])}</td>" in page and "+25.0</dd>" in page
    assert "<td>1, 5, 9, 13, 17</td>" in page and "<td>none</td>" in page
    assert f"<td>{found['success_at_end']['p_value']:.3g}</td>" in page


def test_no_name_of_a_folder_or_an_agent_becomes_an_element(benchmark, comparison):
    for report in (
        benchmark_report(benchmark, comparison["pairs"], name=HOSTILE, commands=[HOSTILE]),
        comparison_report(comparison, commands=[HOSTILE]),
    ):
        page = render(report)
        assert "<script" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
