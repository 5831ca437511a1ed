from dataclasses import replace

import pytest

from agent.evaluation.comparison import Setting, format_comparison, make_comparison
from agent.evaluation.comparison_plot import plot_comparison, write_plot
from agent.evaluation.episodes import EpisodeRecord, EvaluatedEpisode
from agent.evaluation.statistics import paired_difference
from jepa_mpc.errors import UserError


def pairs(both, only_ours, only_theirs, neither):
    ours = [True] * (both + only_ours) + [False] * (only_theirs + neither)
    theirs = [True] * both + [False] * only_ours + [True] * only_theirs + [False] * neither
    return ours, theirs


def test_the_paired_interval_is_newcombes():
    difference = paired_difference(*pairs(1, 1, 7, 12))  # as in Fagerland, Lydersen and Laake, 2014
    assert difference.difference == pytest.approx(-6 / 21)
    assert (difference.low, difference.high) == (pytest.approx(-0.507, abs=5e-4), pytest.approx(-0.026, abs=5e-4))


@pytest.mark.parametrize("counts", [(20, 12, 2, 16), (1, 1, 7, 12), (30, 5, 0, 2), (50, 0, 0, 0)])
def test_the_interval_of_the_swapped_pair_is_the_mirror_image(counts):
    ours, theirs = pairs(*counts)
    there, back = paired_difference(ours, theirs), paired_difference(theirs, ours)
    assert (there.difference, there.low, there.high) == pytest.approx((-back.difference, -back.high, -back.low))


def test_two_planners_that_never_fail_may_still_differ():
    difference = paired_difference([True] * 50, [True] * 50)
    assert difference.difference == 0 and difference.low < -0.05 and difference.high > 0.05


def test_pairs_that_succeed_together_are_told_apart_more_sharply_than_pairs_that_do_not():
    together, apart = paired_difference(*pairs(40, 10, 0, 50)), paired_difference(*pairs(20, 30, 20, 30))
    assert together.difference == pytest.approx(apart.difference)
    assert together.high - together.low < apart.high - apart.low


def episode(seed, *, success, spent, latency, mode="planning"):
    distances = {"tip": 0.01 if success else 0.2}
    record = EpisodeRecord(seed, success, success, 3 if success else None, distances, 4, False, False, {})
    return EvaluatedEpisode(
        record,
        units={"tip": "m"},
        redrawn=0,
        latencies_ms=(latency, 0.1) * 2,
        num_evaluations=(spent, 0) * 2,
        modes=(mode, None) * 2,
        limits=((),) * 4,
        distances={"tip": (0.2,) * 4 + (distances["tip"],)},
        convergence=(),
    )


def test_a_planner_that_never_had_anything_to_decide_is_one_sentence():
    over = [replace(episode(0, success=True, spent=0, latency=0.1), latencies_ms=(), num_evaluations=(), modes=())]
    with pytest.raises(UserError, match="every episode of cem at 64 was over as it began: there is nothing to compare"):
        make_comparison({}, {Setting("cem", 64): over}, reference="cem", versions={})


def episodes(num_successes, *, spent, latency):
    return [episode(seed, success=seed < num_successes, spent=spent, latency=latency) for seed in range(4)]


@pytest.fixture
def comparison():
    settings = {
        Setting("cem", 64): episodes(2, spent=64, latency=2.0),
        Setting("cem", None): episodes(4, spent=1024, latency=9.0),
        Setting("mppi", 64): episodes(3, spent=60, latency=3.0),
        Setting("mppi", None): episodes(3, spent=60, latency=3.0),
    }
    description = {"env": "reach", "observation": "state", "scenario": "undisturbed", "seed": 0, "split": "validation"}
    return make_comparison(description, settings, reference="cem", versions={})


def test_each_setting_counts_its_planning_steps_alone(comparison):
    cem, own, *_ = comparison["settings"]
    assert (cem["evaluations"], own["evaluations"]) == ({"mean": 64, "max": 64}, {"mean": 1024, "max": 1024})
    assert cem["latency_ms"] == {"p50": 2.0, "p90": 2.0, "p99": 2.0}


def test_a_planner_differs_from_the_reference_at_the_same_budget(comparison):
    differences = {
        (setting["planner"], setting["budget"]): setting["difference_at_end"]["difference"]
        for setting in comparison["settings"]
    }
    assert differences == {("cem", 64): 0, ("cem", None): 0, ("mppi", 64): 0.25, ("mppi", None): -0.25}


def test_the_table_has_a_line_for_each_setting(comparison):
    table = format_comparison(comparison)
    assert "the same 4 episodes of the validation split" in table
    line = next(line for line in table.splitlines() if line.split()[:2] == ["mppi", "own"])
    assert line.split()[2:9] == ["60", "75.0", "%", "(19.4", "to", "99.4)", "75.0"]
    assert "-25.0 (" in line


def test_the_table_says_what_happened_beside_the_agents_own_doing(comparison):
    assert "scenario" not in format_comparison(comparison)
    title, *_ = format_comparison({**comparison, "scenario": "tour"}).splitlines()
    assert "reach from state, seed 0, scenario tour: the same 4 episodes" in title


def test_who_never_plans_is_a_row_and_a_panel_all_the_same(tmp_path):
    reacting = [episode(seed, success=True, spent=0, latency=0.5, mode="reactive") for seed in range(4)]
    description = {"env": "reach", "observation": "state", "scenario": "undisturbed", "seed": 0, "split": "validation"}
    comparison = make_comparison(description, {Setting("cem", 64): reacting}, reference="cem", versions={})
    (row,) = comparison["settings"]
    assert row["evaluations"] == {"mean": 0.0, "max": 0}
    assert row["latency_ms"]["p50"] == 0.5
    assert "cem" in format_comparison(comparison).splitlines()[2]
    panel = plot_comparison(comparison).axes[0]
    assert panel.lines[-1].get_xydata().tolist() == [[0, 100]]
    assert write_plot(comparison, tmp_path / "plot.png").is_file()


def test_the_picture_shows_what_was_measured(comparison, tmp_path):
    axes = plot_comparison(comparison).axes
    panels = {panel.get_title(loc="left"): panel for panel in axes if panel.get_title(loc="left")}
    cem = panels["cem"].lines[-1].get_xydata().tolist()
    mppi = panels["mppi"].lines[-1].get_xydata().tolist()
    assert (cem, mppi) == ([[64, 50], [1024, 100]], [[60, 75]])
    assert write_plot(comparison, tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["plot.png"]
