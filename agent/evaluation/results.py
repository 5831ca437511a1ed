"""The results file of an evaluation, and the table that is printed of it."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from agent.evaluation.episodes import NUM_END_STEPS, EpisodeRecord, EvaluatedEpisode, judged
from agent.evaluation.seeds import Entries
from agent.evaluation.statistics import percentiles, success_rate
from jepa_mpc.files import write_whole

RESULTS_FILE = "results.json"
SCHEMA = 1

SHOWN = {"m": (100.0, " cm"), "rad": (math.degrees(1.0), "°")}
"""Unit to the one in which people are told, and how many of it that is."""

_OF_ONE_UNIT = {"m": "final_distance_m", "rad": "final_angle_rad"}
"""Unit to a key of a record that holds the first distance in it, whatever its name: for scripts that know no names."""


def summarize(episodes: Sequence[EvaluatedEpisode]) -> dict[str, Any]:
    """Returns what the results file holds of one agent: every record, both success rates, and what was changed.

    Where a task has more to report than success, it holds the means over the episodes that count, as "measures".

    Episodes whose start was solved already are recorded and counted, but in no rate. What its guardrails changed is the
    number of control steps by name, over all episodes.
    """
    records = [episode.record for episode in judged(episodes)]
    interventions = Counter[str]()
    for episode in episodes:
        interventions.update(episode.interventions)
    return {
        "success_once": asdict(success_rate([record.success_once for record in records])),
        "success_at_end": asdict(success_rate([record.success_at_end for record in records])),
        "solved_at_start": len(episodes) - len(records),
        "interventions": dict(interventions),
        **_mean_measures(records),
        "episodes": [_plain(episode) for episode in episodes],
    }


def _mean_measures(records: Sequence[EpisodeRecord]) -> dict[str, dict[str, float]]:
    """Returns the means of what a task has to report beside success, or nothing."""
    names = records[0].measures if records else ()
    means = {name: float(np.mean([record.measures[name] for record in records])) for name in names}
    return {"measures": means} if means else {}


def _plain(episode: EvaluatedEpisode) -> dict[str, Any]:
    """Returns a record with its distances by name, and those in m and rad under a key of their own.

    A task that has nothing to report beside success leaves no key of it.
    """
    record, units = asdict(episode.record), episode.units
    if not record["measures"]:
        del record["measures"]
    first = {
        unit: record["final_distances"][name] for name, unit in reversed(list(units.items())) if unit in _OF_ONE_UNIT
    }
    if "m" in first:
        first.setdefault("rad", 0.0)  # where a goal is a place alone
    return record | {_OF_ONE_UNIT[unit]: value for unit, value in first.items()}


def make_results(
    description: Mapping[str, Any],
    episodes: Mapping[str, Sequence[EvaluatedEpisode]],
    *,
    criterion: str,
    control_dt: float,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Returns the content of the results file.

    Args:
        description: What was evaluated: env, observation, planner, seed, checkpoint, whether it is reproducible and if
            not why, and the scenario's note.
        episodes: Agent's name to its episodes; "actor" is among them, and its latency is reported: `latency_ms` of each
            control step at which it decided anything, `planning_latency_ms` of those at which it planned; null where
            it never did.
        criterion: When a goal counts as reached, for people.
        control_dt: Control period, s.
        versions: Package to version.
    """
    actor = episodes["actor"]
    deciding = [latency for episode in actor for latency in episode.deciding_latencies_ms]
    planning = [latency for episode in actor for latency in episode.planning_latencies_ms]
    return {
        "schema": SCHEMA,
        **description,
        "success": {
            "criterion": criterion,
            "at_end": {"control_steps": NUM_END_STEPS, "seconds": round(NUM_END_STEPS * control_dt, 6)},
        },
        "units": dict(actor[0].units),
        "agents": {name: summarize(run) for name, run in episodes.items()},
        "latency_ms": percentiles(deciding) if deciding else None,
        "planning_latency_ms": percentiles(planning) if planning else None,
        "solved_at_start_redrawn": sum(episode.redrawn for episode in actor),
        "versions": dict(versions),
    }


def free_names(
    folder: Path,
    names: Sequence[str],
    *,
    entries: Entries,
    entries_of: Callable[[Any], Entries],
) -> list[str]:
    """Returns under which names findings are written: those of the first in a folder are never overwritten.

    Those of another split, or of other entries of its manifest, lie beside them under names that say so.

    Args:
        folder: Of the findings.
        names: Of the first findings, and of what lies with them.
        entries: Of the new findings.
        entries_of: Returns the entries of what was read from the first findings.
    """
    first = folder / names[0]
    if not first.exists():
        return list(names)
    try:
        there = json.loads(first.read_text(encoding="utf-8"))
        same = entries_of(there) == entries
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        same = False
    addition = "" if same else f"_{entries}"
    return [f"{Path(name).stem}{addition}{Path(name).suffix}" for name in names]


def write_results(results: Mapping[str, Any], folder: Path, *, file: str = RESULTS_FILE) -> Path:
    """Writes a results file, whole or not at all."""
    path = folder / file
    write_whole(path, json.dumps(results, indent=1, allow_nan=False) + "\n")
    return path


def format_results(results: Mapping[str, Any]) -> str:
    """Returns a table of the agents, and below it what its numbers are and how long the actor takes."""
    units = results["units"]
    columns = distance_columns(units)
    header = f"{'agent':<10} {'at the end':>24} {'once':>24}"
    header += (
        "".join(f"{name.replace('_', ' '):>{width}}" for name, width in columns.items()) + f" {'steps':>6} {'n':>5}"
    )
    lines = [_title(results), header, *(_row(name, agent, units) for name, agent in results["agents"].items())]
    success, end = results["success"], results["success"]["at_end"]
    lines += [
        f"success: {success['criterion']}; at the end: in each of the last {end['control_steps']} control steps "
        f"({end['seconds']:g} s); once: in any",
        "each with its exact 95 % interval; medians of the final distance to the goal"
        ", and of the control steps to the first success where there was one",
        _latency(results),
    ]
    if solved := {name: it["solved_at_start"] for name, it in results["agents"].items() if it["solved_at_start"]}:
        counts = ", ".join(f"{name} {number}" for name, number in solved.items())
        lines.append(f"solved before anything was done, and so in no rate: {counts}")
    lines += [
        f"{name.replace('_', ' ')}, mean of an episode: "
        + ", ".join(f"{who} {it['measures'][name]:.3g}" for who, it in results["agents"].items() if "measures" in it)
        for name in results["agents"]["actor"].get("measures", ())
    ]
    if results["note"] is not None:
        lines.append(f"note: {results['note']}")
    lines += [f"not reproducible: {reason}" for reason in results["not_reproducible"]]
    return "\n".join(lines)


def _title(results: Mapping[str, Any]) -> str:
    """Returns what was evaluated, in a line; a planner that was never asked is not named."""
    planned = results["planning_latency_ms"] is not None
    disturbed = results["scenario"] != "undisturbed"
    return (
        f"{results['env']} from {results['observation']}, "
        + (f"planner {results['planner']}" if planned else "reacting alone")
        + f", seed {results['seed']}"
        + (f", scenario {results['scenario']}" if disturbed else "")
        + f", {results['split']} split"
    )


def _row(name: str, agent: Mapping[str, Any], units: Mapping[str, str]) -> str:
    """Returns the line of an agent."""
    records = [record for record in agent["episodes"] if not record["solved_at_start"]]
    steps = [record["steps_to_success"] for record in records if record["steps_to_success"] is not None]
    distances = {
        key: told([record["final_distances"][key] for record in records], units[key]).rjust(width)
        for key, width in distance_columns(units).items()
    }
    return (
        f"{name:<10} {percent(agent['success_at_end']):>24} {percent(agent['success_once']):>24}"
        + "".join(distances.values())
        + f" {f'{np.median(steps):.0f}' if steps else '-':>6} {agent['success_at_end']['n']:>5}"
    )


def _latency(results: Mapping[str, Any]) -> str:
    """Returns how long the actor takes: its planning steps, and all its decisions where it made others too."""
    deciding, planning = results["latency_ms"], results["planning_latency_ms"]
    if deciding is None:
        return "the actor had nothing to decide: every episode was over as it began"
    kinds = {"decision": deciding} if planning is None else {"planning step": planning}
    if planning is not None and planning != deciding:
        kinds["any decision"] = deciding
    return "; ".join(
        f"{kind} of the actor, ms: " + ", ".join(f"{name} {value:.1f}" for name, value in latency.items())
        for kind, latency in kinds.items()
    )


def distance_columns(units: Mapping[str, str]) -> dict[str, int]:
    """Returns name of a distance to the width of its column in a table."""
    return {name: max(9, len(name) + 2) for name in units}


def told(distances: Sequence[float], unit: str) -> str:
    """Returns the median distance as people are told of it: m as cm, rad as degrees, all else in its own unit."""
    if not distances:
        return "-"
    factor, name = SHOWN.get(unit, (1.0, f" {unit}".rstrip()))
    return f"{factor * np.median(distances):.{0 if unit == 'rad' else 1}f}{name}"


def percent(rate: Mapping[str, float]) -> str:
    """Returns a rate with its interval, as a `Rate` says it."""
    return f"{100 * rate['rate']:.1f} % ({100 * rate['low']:.1f} to {100 * rate['high']:.1f})"
