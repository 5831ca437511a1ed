"""Planners side by side: success, evaluations and latency, each at several budgets, on the same episodes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from agent.evaluation.episodes import EvaluatedEpisode, judged
from agent.evaluation.results import distance_columns, percent, summarize, told
from agent.evaluation.statistics import paired_difference, percentiles
from jepa_mpc.errors import UserError

COMPARISON_FILE = "comparison.json"
SCHEMA = 1


@dataclass(frozen=True)
class Setting:
    """One planner under one budget.

    Attributes:
        planner: Its name.
        budget: Most evaluations at a planning step, or None for as many as the planner asks for.
    """

    planner: str
    budget: int | None

    def __str__(self) -> str:
        return f"{self.planner} at {'its own number' if self.budget is None else self.budget}"


def make_comparison(
    description: Mapping[str, Any],
    episodes: Mapping[Setting, Sequence[EvaluatedEpisode]],
    *,
    reference: str,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Returns the content of the comparison file.

    Args:
        description: What was compared: env, observation, seed, split, checkpoint, values of the planners.
        episodes: Setting to its episodes, the same seeds in the same order everywhere.
        reference: The planner from which the others differ; it has every budget that they have.
        versions: Package to version.

    Raises:
        UserError: Nothing was decided in any episode of a setting.
    """
    return {
        "schema": SCHEMA,
        **description,
        "reference": reference,
        "settings": [
            _summarize_setting(setting, run, episodes[Setting(reference, setting.budget)])
            for setting, run in episodes.items()
        ],
        "versions": dict(versions),
    }


def _summarize_setting(
    setting: Setting, run: Sequence[EvaluatedEpisode], reference: Sequence[EvaluatedEpisode]
) -> dict[str, Any]:
    assert [episode.record.seed for episode in run] == [episode.record.seed for episode in reference]
    spent = [number for episode in run for number in episode.num_evaluations if number] or [0]  # 0 where all react
    planning = [latency for episode in run for latency in episode.planning_latencies_ms]
    deciding = [latency for episode in run for latency in episode.deciding_latencies_ms]
    if not (decided := planning or deciding):
        raise UserError(f"every episode of {setting} was over as it began: there is nothing to compare")
    units = run[0].units
    at_end, reference_at_end = (
        [episode.record.success_at_end for episode in judged(episodes)] for episodes in (run, reference)
    )
    return {
        **asdict(setting),
        "evaluations": {"mean": float(np.mean(spent)), "max": max(spent)},
        "latency_ms": percentiles(decided),
        "median_final_distances": {
            name: float(np.median([episode.record.final_distances[name] for episode in judged(run) or run]))
            for name in units
        },
        "units": dict(units),
        "difference_at_end": asdict(paired_difference(at_end, reference_at_end)),
        **summarize(run),
    }


def format_comparison(comparison: Mapping[str, Any]) -> str:
    """Returns the table of all settings, and what its columns are."""
    settings, reference = comparison["settings"], comparison["reference"]
    width = max(len(name) for name in ("planner", *(setting["planner"] for setting in settings)))
    units = settings[0]["units"]
    columns = distance_columns(units)
    header = (
        f"{'planner':<{width}} {'budget':>6} {'spent':>6} {'at the end':>23} {'once':>23} "
        + "".join(f"{name.replace('_', ' '):>{size}}" for name, size in columns.items())
        + f" {'p50 ms':>7} {'p99 ms':>7} {f'at the end, against {reference}':>32}"
    )
    disturbed = "" if comparison["scenario"] == "undisturbed" else f", scenario {comparison['scenario']}"
    lines = [
        f"{comparison['env']} from {comparison['observation']}, seed {comparison['seed']}{disturbed}: the same "
        f"{settings[0]['success_at_end']['n']} episodes of the {comparison['split']} split for all",
        header,
    ]
    previous = settings[0]["planner"]
    for setting in settings:
        if setting["planner"] != previous:
            lines.append("")
        previous = setting["planner"]
        budget = "own" if setting["budget"] is None else setting["budget"]
        difference = "" if setting["planner"] == reference else _points(setting["difference_at_end"])
        lines.append(
            f"{setting['planner']:<{width}} {budget:>6} {setting['evaluations']['mean']:>6.0f} "
            f"{percent(setting['success_at_end']):>23} {percent(setting['success_once']):>23} "
            + "".join(
                f"{told([setting['median_final_distances'][name]], units[name]):>{size}}"
                for name, size in columns.items()
            )
            + f" {setting['latency_ms']['p50']:>7.1f} {setting['latency_ms']['p99']:>7.1f} {difference:>32}".rstrip()
        )
    return "\n".join(
        [
            *lines,
            "budget: most evaluations at a planning step; spent: their mean, as counted; success with its exact 95 % "
            "interval;",
            "medians of the final distance to the goal; time of a planning step, or of any decision where none plans; "
            f"points of success more than {reference} in the same episodes at the same budget",
        ]
    )


def _points(difference: Mapping[str, float]) -> str:
    middle, low, high = (100 * difference[key] for key in ("difference", "low", "high"))
    return f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"
