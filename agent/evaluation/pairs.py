"""Two evaluations of the same episodes, episode by episode."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agent.evaluation import benchmark
from agent.evaluation.results import RESULTS_FILE, percent
from agent.evaluation.results import SCHEMA as RESULTS_SCHEMA
from agent.evaluation.statistics import mcnemar, paired_difference
from jepa_mpc.errors import UserError

KIND = "pairs"
SCHEMA = 1

_SAME = ("env", "split", "first_entry", "scenario", "scenario_values", "protocol", "success", "units")
"""What two evaluations must share for their episodes to be the same."""

_DESCRIBED = ("env", "observation", "scenario", "split", "planner", "mode", "note", "seed", "checkpoint", "versions")
"""What is told of each evaluation."""

_RATES = ("success_at_end", "success_once")


def read_results(folder: Path, *, file: str = RESULTS_FILE) -> dict[str, Any]:
    """Reads what an evaluation, a run or a benchmark has left in its folder.

    Raises:
        UserError: There is nothing of the kind, or it is of another schema.
    """
    path = folder / file
    if not folder.is_dir():
        raise UserError(f"there is no folder '{folder}'")
    if not path.is_file():
        raise UserError(
            f"'{folder}' holds no {file}: name the folder of a finished run, evaluation or benchmark; an "
            "interrupted one goes on with the command that began it"
        )
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise UserError(f"'{path}' must be JSON, and cannot be read as such: evaluate anew") from None
    wanted = benchmark.SCHEMA if is_benchmark(results) else RESULTS_SCHEMA
    schema = results.get("schema") if isinstance(results, dict) else None
    if schema != wanted or results.get("kind") == KIND:
        what = "a comparison" if schema == wanted else f"schema {schema}"
        raise UserError(
            f"'{path}' must be an evaluation or a benchmark of schema {wanted}, got {what}: name the folder of one, "
            "use the version that wrote it, or evaluate anew"
        )
    try:
        _check_shape(results)
    except (KeyError, TypeError, AttributeError, IndexError):
        raise UserError(f"'{path}' is not as it was written: evaluate anew") from None
    return dict(results)


def _check_shape(results: Mapping[str, Any]) -> None:
    """Reads all that a comparison needs: what is missing, or of another kind, raises what Python says of it."""
    if is_benchmark(results):
        for row in results["cells"]:
            _ = [row["task"] + row["agent"] + run["results"] for run in row["seeds"].values()]
        return
    actor = results["agents"]["actor"]
    _ = [results[key] for key in (*_SAME, *_DESCRIBED)], [actor[key]["rate"] + actor[key]["n"] for key in _RATES]
    for episode in actor["episodes"]:
        if not all(isinstance(episode[key], bool) for key in (*_RATES, "solved_at_start")):
            raise TypeError
        _ = episode["seed"] + 0


def is_benchmark(results: Any) -> bool:
    """Returns whether results are those of a benchmark."""
    return isinstance(results, dict) and results.get("kind") == benchmark.KIND


def compare(folder: Path, reference: Path) -> dict[str, Any]:
    """Returns the paired differences between what lies in two folders.

    Two evaluations are one pair; two benchmarks one for each task, agent and seed that they have in common.

    Raises:
        UserError: One is a benchmark and the other is none, they have nothing in common, or their episodes differ.
    """
    ours, theirs = read_results(folder), read_results(reference)
    if is_benchmark(ours) != is_benchmark(theirs):
        one, other = (folder, reference) if is_benchmark(ours) else (reference, folder)
        raise UserError(f"'{one}' holds a benchmark and '{other}' a single evaluation: compare two of a kind")
    pairs = list(_cells(folder, reference, ours, theirs)) if is_benchmark(ours) else [("", ours, theirs)]
    if not pairs:
        raise UserError(f"the benchmarks in '{folder}' and '{reference}' have no task, agent and seed in common")
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "folders": [str(folder), str(reference)],
        "pairs": [pair(name, one, other) for name, one, other in pairs],
    }


def _cells(
    folder: Path, reference: Path, ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yields what two benchmarks have in common: a name, and the results of both evaluations."""
    others = {(row["task"], row["agent"]): row["seeds"] for row in theirs["cells"]}
    for row in ours["cells"]:
        for seed, run in row["seeds"].items():
            other = others.get((row["task"], row["agent"]), {}).get(seed)
            if other is not None:
                name = f"{row['task']}; {row['agent']}; seed {seed}"
                yield name, read_results(folder, file=run["results"]), read_results(reference, file=other["results"])


def pair(name: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Returns by how much the actor of one evaluation succeeds more often than that of another.

    Episodes whose start was solved already count in neither.

    Args:
        name: Of what they have in common.
        ours: Results of an evaluation.
        theirs: Results of the one that it is compared with.

    Raises:
        UserError: They are not of the same episodes; the sentence says in what they differ.
    """
    _refuse_other_episodes(ours, theirs)
    runs = [results["agents"]["actor"]["episodes"] for results in (ours, theirs)]
    judged = [(one, other) for one, other in zip(*runs, strict=True) if not one["solved_at_start"]]
    if not judged:
        raise UserError("every episode was solved before anything was done: there is nothing to compare")
    rates = [{key: results["agents"]["actor"][key] for key in _RATES} for results in (ours, theirs)]
    found: dict[str, Any] = {"name": name, "rates": rates}
    for key in _RATES:
        one, other = ([episode[key] for episode in run] for run in zip(*judged, strict=True))
        found[key] = {**asdict(paired_difference(one, other)), "p_value": mcnemar(one, other)}
    ends = [(one["success_at_end"], other["success_at_end"], one["seed"]) for one, other in judged]
    found["only_first"] = [seed for one, other, seed in ends if one and not other]
    found["only_second"] = [seed for one, other, seed in ends if other and not one]
    found["described"] = [{key: results[key] for key in _DESCRIBED} for results in (ours, theirs)]
    return found


def _refuse_other_episodes(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    told = [(key, *(_told(results.get(key)) for results in (ours, theirs))) for key in _SAME]
    differ = [f"{key}: {one} and {other}" for key, one, other in told if one != other]
    numbers = [len(results["agents"]["actor"]["episodes"]) for results in (ours, theirs)]
    if numbers[0] != numbers[1]:
        differ.append(f"episodes: {numbers[0]} and {numbers[1]}")
    seeds = [[episode["seed"] for episode in it["agents"]["actor"]["episodes"]] for it in (ours, theirs)]
    if not differ and seeds[0] != seeds[1]:
        differ.append(f"seeds of the episodes: from {seeds[0][0]} and from {seeds[1][0]}")
    if differ:
        raise UserError(f"only evaluations of the same episodes can be compared, these differ in {'; '.join(differ)}")


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def format_pairs(pairs: Mapping[str, Any]) -> str:
    """Returns the table of all pairs, and what its columns are."""
    lines = [f"{pairs['folders'][0]} against {pairs['folders'][1]}, the same episodes for both; success at the end"]
    for it in pairs["pairs"]:
        rates = [percent(rate["success_at_end"]) for rate in it["rates"]]
        end = it["success_at_end"]
        middle, low, high = (100 * end[key] for key in ("difference", "low", "high"))
        lines += [it["name"]] * bool(it["name"])
        lines.append(
            f"  {rates[0]} against {rates[1]}, n = {it['rates'][0]['success_at_end']['n']}: {middle:+.1f} points "
            f"({low:+.1f} to {high:+.1f}), p = {end['p_value']:.3g}; {len(it['only_first'])} episodes were solved by "
            f"the first alone, {len(it['only_second'])} by the second alone"
        )
    lines.append("the interval is Newcombe's for pairs, 95 %; p is that of McNemar's exact test")
    return "\n".join(lines)
