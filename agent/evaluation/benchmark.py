"""A benchmark: tasks x agents x trained seeds, each seed judged on entries of its own, in one table.

Seeds are never pooled as if their episodes were independent: the table shows every seed, and the interval of all is
that of `pooled_rate`.
"""

import csv
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from agent.evaluation.baselines import BASELINES
from agent.evaluation.results import percent
from agent.evaluation.statistics import Rate, pooled_rate

KIND = "benchmark"
CSV_FILE = "results.csv"
JUNIT_FILE = "junit.xml"
SCHEMA = 1

_COLUMNS = ("task", "agent", "seed", "n", "at_end", "at_end_low", "at_end_high", "once", "once_low", "once_high")


@dataclass(frozen=True)
class Cell:
    """An agent in a task.

    Attributes:
        task: What was trained, as changes to the config.
        agent: How it acts, as changes to the trained config.
        seeds: Seed of the training to the results of its evaluation, as results.json holds them.
        files: Seed of the training to the results file of its evaluation, from the folder of the benchmark.
        refused: Why there are no results, in one sentence; None where there are.
        stopped: Whether that is because a training was stopped.
    """

    task: str
    agent: str
    seeds: Mapping[int, Mapping[str, Any]]
    files: Mapping[int, str]
    refused: str | None
    stopped: bool


def make_benchmark(cells: Sequence[Cell], description: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content of the results file of a benchmark.

    Args:
        cells: By task, agents in the same order in each.
        description: What is the same for all: protocol, split, episodes, threshold, published figures, versions.
    """
    rows = [_row(cell) for cell in cells]
    return {
        "schema": SCHEMA,
        "kind": KIND,
        **description,
        "cells": rows,
        "baselines": [row for task in dict.fromkeys(cell.task for cell in cells) for row in _baselines(task, cells)],
        "interquartile_mean": {
            agent: interquartile_mean([row["seeds"] for row in rows if row["agent"] == agent and row["seeds"]])
            for agent in dict.fromkeys(cell.agent for cell in cells)
        },
    }


def _row(cell: Cell) -> dict[str, Any]:
    seeds = {
        str(seed): {
            "results": cell.files[seed],
            "first_entry": results["first_entry"],
            "evaluation_looks": results["evaluation_looks"],
            "checkpoint": results["checkpoint"],
            "latency_ms": results["latency_ms"],
            **{name: results["agents"]["actor"][name] for name in ("success_at_end", "success_once")},
        }
        for seed, results in cell.seeds.items()
    }
    pooled = _pooled([results["agents"]["actor"]["episodes"] for results in cell.seeds.values()])
    return {"task": cell.task, "agent": cell.agent, "refused": cell.refused, "seeds": seeds, "pooled": pooled}


def _baselines(task: str, cells: Sequence[Cell]) -> Iterator[dict[str, Any]]:
    """Yields what baselines come to in a task, over the entries of all seeds as one: they have learned nothing."""
    evaluations = next((list(it.seeds.values()) for it in cells if it.task == task and it.seeds), [])
    for name in BASELINES:
        runs = [results["agents"][name]["episodes"] for results in evaluations if name in results["agents"]]
        if runs:
            yield {"task": task, "agent": name, "pooled": _pooled([[it for run in runs for it in run]])}


def _pooled(runs: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any] | None:
    """Returns both rates over all runs; episodes that were solved at their start count in none."""
    judged = [[it for it in run if not it["solved_at_start"]] for run in runs]
    if not any(judged):
        return None
    return {
        name: asdict(pooled_rate([[it[name] for it in run] for run in judged if run]))
        for name in ("success_at_end", "success_once")
    }


def interquartile_mean(tasks: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, float] | None:
    """Returns the mean of the middle half of all trainings' rates, and of how many tasks and trainings it is.

    It is the measure of Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", 2021.
    Their bootstrap is left out: drawn from a few trainings, its interval has no width where these come to the same.

    Args:
        tasks: For each task, seed to what holds its `success_at_end`.
    """
    from scipy.stats import trim_mean

    rates = [seed["success_at_end"]["rate"] for task in tasks for seed in task.values()]
    if not rates:
        return None
    return {"rate": float(trim_mean(rates, 0.25)), "num_tasks": len(tasks), "num_trainings": len(rates)}


def performance_profile(tasks: Sequence[Mapping[str, Mapping[str, Any]]]) -> list[tuple[float, float]]:
    """Returns points of the share of runs whose success is at least a rate, by rate; see `interquartile_mean`."""
    rates = np.sort([seed["success_at_end"]["rate"] for task in tasks for seed in task.values()])
    return [(float(rate), float((rates >= rate).mean())) for rate in np.unique([0.0, *rates, 1.0])]


def below(benchmark: Mapping[str, Any], threshold: float) -> list[Mapping[str, Any]]:
    """Returns the cells whose lower bound of success at the end is below a threshold."""
    return [row for row in benchmark["cells"] if row["pooled"] and row["pooled"]["success_at_end"]["low"] < threshold]


def format_benchmark(benchmark: Mapping[str, Any]) -> str:
    """Returns the table of all cells with every seed, and what its columns are."""
    lines = [
        f"{len(benchmark['seeds'])} trainings of each task, {benchmark['num_episodes']} episodes of the "
        f"{benchmark['split']} split for each, of its own; success at the end with its 95 % interval"
    ]
    width = max(len(row["agent"]) for row in (*benchmark["cells"], *benchmark["baselines"]))
    for task in dict.fromkeys(row["task"] for row in benchmark["cells"]):
        lines += ["", task]
        for row in (it for it in (*benchmark["cells"], *benchmark["baselines"]) if it["task"] == task):
            lines.append(f"  {row['agent']:<{width}}  {_told(row)}")
    means = {agent: it for agent, it in benchmark["interquartile_mean"].items() if it is not None}
    if means:
        lines += ["", "interquartile mean over tasks and trainings:"]
        lines += [f"  {agent:<{width}}  {told_mean(it)}" for agent, it in means.items()]
    return "\n".join([*lines, *(f"published: {text}" for text in benchmark["published"])])


def told_mean(mean: Mapping[str, float]) -> str:
    """Returns an interquartile mean, and of what it is."""
    return f"{100 * mean['rate']:.1f} % of {mean['num_trainings']} trainings of {mean['num_tasks']} tasks"


def _told(row: Mapping[str, Any]) -> str:
    if row["pooled"] is None:
        return f"-  ({row['refused'] or 'no episode that tells anything'})"
    rate = row["pooled"]["success_at_end"]
    seeds = ", ".join(f"{100 * it['success_at_end']['rate']:.1f}" for it in row.get("seeds", {}).values())
    return f"{percent(rate):>24}  n = {rate['n']}" + (f"; by seed: {seeds}" if seeds else "")


def as_csv(benchmark: Mapping[str, Any]) -> str:
    """Returns the table with a line for each seed, and one for all, whose seed is empty."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in (*benchmark["cells"], *benchmark["baselines"]):
        runs = {**row.get("seeds", {}), "": row["pooled"]}
        for seed, run in runs.items():
            if run is not None:
                rates = [Rate(**run[name]) for name in ("success_at_end", "success_once")]
                numbers = [number for it in rates for number in (it.rate, it.low, it.high)]
                writer.writerow([row["task"], row["agent"], seed, rates[0].n, *numbers])
    return file.getvalue()


def as_junit(benchmark: Mapping[str, Any]) -> str:
    """Returns the cells as test cases of JUnit: one below the threshold fails, one that cannot be is skipped."""
    threshold = benchmark["fail_under"]
    failed = [] if threshold is None else below(benchmark, threshold)
    rows = benchmark["cells"]
    suite = ElementTree.Element(
        "testsuite",
        name="jepa-mpc benchmark",
        tests=str(len(rows)),
        failures=str(len(failed)),
        errors="0",
        skipped=str(sum(row["pooled"] is None for row in rows)),
    )
    for row in rows:
        case = ElementTree.SubElement(suite, "testcase", classname=row["task"], name=row["agent"])
        if row["pooled"] is None:
            ElementTree.SubElement(case, "skipped", message=row["refused"] or "no episode that tells anything")
            continue
        low = row["pooled"]["success_at_end"]["low"]
        if row in failed:
            message = f"the lower bound of success at the end, {low:.6f}, is below {threshold}"
            ElementTree.SubElement(case, "failure", message=message)
        ElementTree.SubElement(case, "system-out").text = _told(row)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"
