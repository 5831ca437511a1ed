"""The report of an evaluation, beside its results: what a run folder holds becomes sections of one page."""

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.evaluation.benchmark import Cell
from agent.evaluation.episodes import EvaluatedEpisode
from agent.evaluation.pairs import pair
from agent.evaluation.report.document import REPORT_FILE
from agent.run.config.composing import Config, compose_config
from agent.run.config.spelling import spelled
from agent.run.stages.finished_run import saved_base


def write_evaluation_report(
    config: Config,
    run_folder: Path,
    output: Path,
    *,
    file: str,
    results: Mapping[str, Any],
    episodes: Mapping[str, Sequence[EvaluatedEpisode]],
    control_dt: float,
    films: Sequence[Path],
) -> Path:
    """Writes the report of an evaluation, with its training where both lie in one folder, and prints where.

    Args:
        config: Of the evaluation.
        run_folder: Of the run.
        output: Folder of the evaluation.
        file: Name of the report in it.
        results: What results.json holds.
        episodes: Agent's name to its episodes.
        control_dt: Control period, s.
        films: Of this evaluation.
    """
    from agent.evaluation.report.card import card_section
    from agent.evaluation.report.document import write_report
    from agent.evaluation.report.evaluation import evaluation_report
    from agent.evaluation.report.training import training_section

    whole = output.resolve() == run_folder.resolve()
    card = card_section(results, num_cores=_num_cores(), commands=_commands(config, run_folder, whole=whole))
    report = evaluation_report(
        results,
        episodes,
        name=run_folder.resolve().name,
        control_dt=control_dt,
        films={_seed(path): path for path in films},
        further=[*([training_section(run_folder)] if whole else []), card],
    )
    path = write_report(report, output / file)
    print(f"report: {path}")
    return path


def write_benchmark_report(output: Path, *, results: Mapping[str, Any], cells: Sequence[Cell], command: str) -> Path:
    """Writes the report of a benchmark, and prints where.

    Args:
        output: Its folder.
        results: What its results.json holds.
        cells: Of which they were made.
        command: That comes to the same, as it is typed.
    """
    from agent.evaluation.report.benchmark import benchmark_report
    from agent.evaluation.report.document import write_report

    report = benchmark_report(results, list(_pairs(cells)), name=output.resolve().name, commands=[command])
    path = write_report(report, output / REPORT_FILE)
    print(f"report: {path}")
    return path


def _pairs(cells: Sequence[Cell]) -> Iterator[dict[str, Any]]:
    """Yields the pairs of each agent with the first that acts in its task, with every training."""
    firsts: dict[str, Cell] = {}
    for cell in cells:
        first = firsts.setdefault(cell.task, cell) if cell.seeds else cell
        for seed in cell.seeds if first is not cell else ():
            ours, theirs = cell.seeds[seed], first.seeds[seed]
            if ours["agents"]["actor"]["success_at_end"]["n"]:  # else there is nothing to compare
                yield pair(f"{cell.task}; {cell.agent} against {first.agent}; seed {seed}", ours, theirs)


def _commands(config: Config, run_folder: Path, *, whole: bool) -> list[str]:
    """Returns what is to be typed: the run alone, or how the run was made and then the evaluation on it."""
    if whole:
        return [" ".join(["jepa-mpc run", *spelled(config, section=None)])]
    base = saved_base(run_folder)
    data = base["values"]["train"]["data"]
    made = ["jepa-mpc run"] if data is None else ["jepa-mpc train", shlex.quote(f"data={data}")]
    made += [*spelled(compose_config({}, base=base), section=None), shlex.quote(f"output={run_folder}")]
    evaluated = ["jepa-mpc evaluate", shlex.quote(f"run={run_folder}"), *spelled(config, section="evaluate", base=base)]
    return [" ".join(made), " ".join(evaluated)]


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _seed(film: Path) -> int:
    """Returns the seed of the episode that a film shows, by the name that `film_episodes` gives it."""
    return int(film.stem.rpartition("_")[2])
