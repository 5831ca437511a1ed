"""The results file of an evaluation, and the table that is printed of it."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from agent.evaluation.episodes import EvaluatedEpisode
from agent.evaluation.statistics import percentiles, success_rate

RESULTS_FILE = "results.json"
SCHEMA = 1


def summarize(episodes: Sequence[EvaluatedEpisode]) -> dict[str, Any]:
    """Returns what the results file holds of one agent: every record, both success rates, and what was changed.

    What its guardrails changed is the number of control steps by name, over all episodes.
    """
    records = [episode.record for episode in episodes]
    interventions = Counter[str]()
    for episode in episodes:
        interventions.update(episode.interventions)
    return {
        "success_once": asdict(success_rate([record.success_once for record in records])),
        "success_at_end": asdict(success_rate([record.success_at_end for record in records])),
        "interventions": dict(interventions),
        "episodes": [asdict(record) for record in records],
    }


def make_results(
    description: Mapping[str, Any],
    episodes: Mapping[str, Sequence[EvaluatedEpisode]],
    *,
    action_repeat: int,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Returns the content of the results file.

    Args:
        description: What was evaluated: env, observation, planner, seed, checkpoint, whether it is reproducible, and
            the scenario's note.
        episodes: Agent's name to its episodes; "actor" is among them, and its latency is reported.
        action_repeat: The actor plans at one control step of so many; the latency is that of those.
        versions: Package to version.
    """
    return {
        "schema": SCHEMA,
        **description,
        "agents": {name: summarize(run) for name, run in episodes.items()},
        "latency_ms": percentiles(
            [latency for episode in episodes["actor"] for latency in episode.latencies_ms[::action_repeat]]
        ),
        "solved_at_start_redrawn": sum(episode.redrawn for episode in episodes["actor"]),
        "versions": dict(versions),
    }


def write_results(results: Mapping[str, Any], folder: Path, *, file: str = RESULTS_FILE) -> Path:
    """Writes a results file, whole or not at all."""
    path = folder / file
    part = path.with_suffix(".part")
    part.write_text(json.dumps(results, indent=1, allow_nan=False) + "\n")
    part.replace(path)
    return path


def format_results(results: Mapping[str, Any]) -> str:
    """Returns a table of the agents, and the planning latency below it."""
    turns = any(episode["final_angle_rad"] > 0 for agent in results["agents"].values() for episode in agent["episodes"])
    header = f"{'agent':<10} {'at the end':>24} {'once':>24} {'distance':>12}"
    header += f"{' angle':>9} {'steps':>6} {'n':>5}" if turns else f" {'steps':>6} {'n':>5}"
    lines = [
        f"{results['env']} from {results['observation']}, planner {results['planner']}, seed {results['seed']}",
        header,
    ]
    for name, agent in results["agents"].items():
        steps = [e["steps_to_success"] for e in agent["episodes"] if e["steps_to_success"] is not None]
        distance = np.median([episode["final_distance_m"] for episode in agent["episodes"]])
        angle = np.median([episode["final_angle_rad"] for episode in agent["episodes"]])
        lines.append(
            f"{name:<10} {percent(agent['success_at_end']):>24} {percent(agent['success_once']):>24} "
            f"{100 * distance:>9.1f} cm"
            + (f" {math.degrees(angle):>7.0f}°" if turns else "")
            + f" {np.median(steps) if steps else float('nan'):>6.0f} {agent['success_at_end']['n']:>5}"
        )
    latency = results["latency_ms"]
    lines += [
        "success with its Wilson 95 % interval; median final distance"
        + (" and angle" if turns else "")
        + "; median control steps to the first success",
        "planning step of the actor, ms: " + ", ".join(f"{name} {value:.1f}" for name, value in latency.items()),
    ]
    if results["note"] is not None:
        lines.append(f"note: {results['note']}")
    if not results["reproducible"]:
        lines.append(
            "not reproducible: what a planner finds in a given time depends on the machine, and what an agent that "
            "learns online does depends on the episodes before"
        )
    return "\n".join(lines)


def percent(rate: Mapping[str, float]) -> str:
    """Returns a rate with its interval, as a `Rate` says it."""
    return f"{100 * rate['rate']:.1f} % ({100 * rate['low']:.1f} to {100 * rate['high']:.1f})"
