"""What the configurator saves: its rules against a fixed budget, on the same episodes.

`python -m benchmarks.agent.adaptive_budget run=runs/demo` lets the run's agent act with configurator=fixed and with
configurator=rules, everything else the same, and prints success, its paired difference, and the share of evaluations
that the rules save, with a bootstrap interval over episodes.

All settings: run=DIR, output=DIR (RUN/benchmarks), num_episodes=300, num_workers=2, split=evaluation,
num_evaluations=N (the run's own). An interrupted call goes on where it was.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from agent.evaluation.episodes import EvaluatedEpisode
from agent.evaluation.results import write_results
from agent.run.stages.lock import locked
from benchmarks.agent.finished_runs import (
    HEADER,
    SETTINGS,
    FinishedRun,
    Variant,
    bootstrap_interval,
    cells,
    decisions,
    difference_at_end,
    measures,
    points,
    spent,
)
from benchmarks.arguments import call, read_settings
from benchmarks.tables import table

FILE = "adaptive_budget.json"
SCHEMA = 1
WORTHWHILE, WORST_DIFFERENCE = 0.40, -0.02
"""Least share of evaluations saved, and how low the paired difference's lower bound may be."""
NUM_RESAMPLES = 10_000


def main() -> None:
    settings = read_settings({**SETTINGS, "split": "evaluation", "num_evaluations": None})
    run = FinishedRun.of(settings)
    given = settings.num_evaluations
    budget = () if given is None else (f"configurator.num_evaluations={given}",)
    variants = [
        Variant(name, (*run.configured_by(name), *budget), settings.num_episodes) for name in ("fixed", "rules")
    ]
    with locked(run.output):
        episodes = run.evaluate(variants, split=settings.split)
        fixed, rules = episodes["fixed"], episodes["rules"]
        difference = difference_at_end(rules, fixed)
        saved, low, high = share_saved(rules, fixed)
        rows = {name: measures(of_variant) for name, of_variant in episodes.items()}
        print(table(["configurator", *HEADER], [[name, *cells(row)] for name, row in rows.items()]))
        print(f"rules against fixed, at the end, points: {points(difference)}")
        print(f"evaluations saved: {100 * saved:.1f} % ({100 * low:.1f} to {100 * high:.1f})")
        print(f"steps of the rules: {modes(rules)}")
        reached = saved >= WORTHWHILE and difference.low >= WORST_DIFFERENCE
        print(
            f"{'reached' if reached else 'not reached'}: at least {WORTHWHILE:.0%} fewer evaluations, and the "
            f"difference's lower bound at least {100 * WORST_DIFFERENCE:+.0f} points; "
            f"n = {settings.num_episodes} of the {settings.split} split"
        )
        findings = {
            "schema": SCHEMA,
            **run.describe(split=settings.split, num_evaluations=given),
            "difference_at_end": asdict(difference),
            "saved": {"share": saved, "low": low, "high": high},
            "configurators": rows,
        }
        print(f"adaptive budget: {write_results(findings, run.output, file=FILE)}")


def share_saved(
    episodes: Sequence[EvaluatedEpisode], reference: Sequence[EvaluatedEpisode]
) -> tuple[float, float, float]:
    """Returns by which share fewer evaluations a model step took than in the reference, and its 95 % interval.

    Episodes are resampled in pairs.
    """
    counts = np.array([spent(episodes), decisions(episodes), spent(reference), decisions(reference)], np.float64)
    rng = np.random.default_rng(0)
    picks = rng.integers(counts.shape[1], size=(NUM_RESAMPLES, counts.shape[1]))
    return _saved(counts.sum(axis=1)), *bootstrap_interval(_saved(counts[:, pick].sum(axis=1)) for pick in picks)


def _saved(totals: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    ours, our_steps, theirs, their_steps = totals
    return float(1.0 - (ours / our_steps) / (theirs / their_steps))


def modes(episodes: Sequence[EvaluatedEpisode]) -> str:
    """Returns how many of the model steps were decided in which mode, %."""
    counts = Counter(mode for episode in episodes for mode in episode.modes if mode is not None)
    return ", ".join(f"{mode} {100 * count / counts.total():.0f} %" for mode, count in counts.most_common())


if __name__ == "__main__":
    call(main)
