"""Which part an actor failed by: its failed episodes once more, with one part exchanged at a time.

Two parts can be exchanged for better ones: the world model for the simulator, and the budget for a larger one. What
helps tells what was missing; where nothing helps, cheap futures are not good ones, and the cost is to blame.
"""

from collections.abc import Mapping, Sequence
from typing import Any

ACTOR, ORACLE = "actor", "oracle"
LARGER = "_with_larger_budget"
"""Ends the name of an agent that may spend `BUDGET_FACTOR` times as much on a plan."""

BUDGET_FACTOR = 4

EXCHANGES = (f"{ACTOR}{LARGER}", ORACLE, f"{ORACLE}{LARGER}")
"""Agents that replay a failed episode, in this order."""

PARTS = {
    "budget": "the same agent succeeds with a larger budget",
    "model": "with the simulator in place of the world model, the same planner succeeds within the same budget",
    "planner": "with the simulator in place of the world model, it takes a larger budget to succeed",
    "cost": "it fails with the simulator and a larger budget too: what is cheap is not what is asked for",
}
"""Part to what tells that it was missing; the first that holds counts."""


def missing_part(successes: Mapping[str, bool]) -> str:
    """Returns which part an episode failed by, a key of `PARTS`.

    Args:
        successes: Name of each of `EXCHANGES` to whether it succeeded at the end.
    """
    helped = (part for part, agent in zip(PARTS, EXCHANGES, strict=False) if successes[agent])
    return next(helped, "cost")


def make_diagnosis(replays: Sequence[Mapping[str, Any]], *, num_failed: int) -> dict[str, Any]:
    """Returns what the results file holds of the failed episodes that were replayed.

    Args:
        replays: One an episode: `seed`, `outcome`, and `successes` by the names of `EXCHANGES`.
        num_failed: Episodes that failed, of which these are the first.
    """
    episodes = [{**replay, "part": missing_part(replay["successes"])} for replay in replays]
    return {
        "num_failed": num_failed,
        "num_replayed": len(episodes),
        "budget_factor": BUDGET_FACTOR,
        "parts": {part: sum(it["part"] == part for it in episodes) for part in PARTS},
        "episodes": episodes,
    }


def format_diagnosis(diagnosis: Mapping[str, Any]) -> str:
    """Returns what was missing, in a line."""
    if not diagnosis["num_replayed"]:
        return "no episode failed: there is nothing to diagnose"
    counts = ", ".join(f"{part} {number}" for part, number in diagnosis["parts"].items())
    return (
        f"what was missing in {diagnosis['num_replayed']} of {diagnosis['num_failed']} failed episodes, one part "
        f"exchanged at a time: {counts}"
    )
