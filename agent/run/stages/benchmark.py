"""jepa-mpc benchmark: train tasks with several seeds, let agents act in each, and put all in one table.

A task is a training, named by the keys in which it differs, an agent a way to act with what was learned. Each training
is judged on entries of the manifest that no other one sees. Trainings lie in DIR/runs, evaluations in DIR/cells; what
is finished is not done again. Writes results.json, results.csv, junit.xml and report.html. Exits with 1 where
fail_under is given and the lower bound of success at the end is below it in any cell.

usage: jepa-mpc benchmark output=DIR [tasks='["env=reach","env=push"]'] [agents='["actor.mode=planning"]']
                          [seeds=[0,1,2]] [num_episodes=N] [num_workers=W] [fail_under=R] [key=value ...]
"""

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from agent.evaluation.benchmark import CSV_FILE, JUNIT_FILE, Cell, as_csv, as_junit, below, format_benchmark
from agent.evaluation.benchmark import make_benchmark as make_results
from agent.evaluation.protocol import PROTOCOL
from agent.evaluation.results import percent, write_results
from agent.evaluation.seeds import SPLIT_SIZE
from agent.host import settings_kept
from agent.run.config.composing import Changes, Config, ConfigError, compose_config, flatten, read_changes, typed
from agent.run.config.refusals import refusals
from agent.run.config.saved import continues, save_config
from agent.run.stages.collect import output_folder
from agent.run.stages.evaluate import SECTION as EVALUATE_SECTION
from agent.run.stages.evaluate import Evaluation, evaluate_agent, package_versions
from agent.run.stages.loading import CHECKPOINT
from agent.run.stages.lock import is_taken, locked
from agent.run.stages.report import write_benchmark_report
from agent.run.stages.run import begin, validate_run
from agent.run.stages.train import train_on
from agent.run.stages.validation import check_decidable, validate
from agent.run.stages.vision import configured_task
from envs.episodes.parallel import parallel_map
from jepa_mpc.files import write_whole
from world_model.training.fit import TrainingStopped

SECTION = "benchmark"
BENCHMARK_FILE = "benchmark.yaml"
"""Where the folder of a benchmark keeps its resolved config."""
_COMMAND = "benchmark"
_OF_A_CELL = (
    "seed",
    "actor.mode",
    *(f"evaluate.{key}" for key in ("run", "split", "first_entry", "num_episodes", "num_workers", "fail_under")),
)
"""Keys that each cell has for itself: by the seeds and agents, and by the section of the benchmark."""

_OF_ALL = ("output", SECTION)
_LOG = "log.txt"


@dataclass(frozen=True)
class Benchmark:
    """A finished benchmark.

    Attributes:
        folder: Where it was written down.
        results: What results.json holds.
        report_file: Where the same lies to look at.
        passed: Whether no training was stopped, and no cell's lower bound of success at the end is below
            `benchmark.fail_under`.
    """

    folder: Path
    results: Mapping[str, Any] = field(repr=False)
    report_file: Path
    passed: bool

    @property
    def report(self) -> str:
        """The table of the cells."""
        return format_benchmark(self.results)


@dataclass(frozen=True, eq=False)
class Training:
    """A task with a seed.

    Attributes:
        task: By its keys, as the config names it.
        seed: Of the training.
        changes: To the config, its output included.
        folder: Of the run.
    """

    task: str
    seed: int
    changes: Mapping[str, Any]
    folder: Path

    def __str__(self) -> str:
        return f"{self.task}, seed {self.seed}"


def main(changes: Changes) -> int:
    """Runs the command."""
    return int(not run_benchmark(changes).passed)


def run_benchmark(changes: Changes) -> Benchmark:
    """Runs the benchmark that is asked for, or what is left of it."""
    asked = read_changes(changes)
    config = compose_config(asked, section=SECTION)
    values = config.values.benchmark
    _check(config, asked)
    output = output_folder(config, "benchmark")
    _refuse_taken(output)
    trainings = _trainings(config, asked, output)
    refused = _try_all(config, trainings)
    print(
        f"{len(values.tasks)} tasks x {len(values.seeds)} trainings x {len(values.agents)} agents x "
        f"{values.num_episodes} episodes with {values.num_workers} workers, writing to {output}"
    )
    with locked(output):
        save_config(config, output, file=BENCHMARK_FILE)
        stopped = _train(trainings, num_workers=values.num_workers)
        cells = _evaluate(config, trainings, refused, stopped, output)
        return _write(config, asked, cells, output)


def _refuse_taken(output: Path) -> None:
    """Refuses a folder that holds something else than a benchmark.

    Raises:
        ConfigError: It does.
    """
    if is_taken(output) and not (output / BENCHMARK_FILE).is_file():
        raise ConfigError(f"output must be a new folder or that of an earlier benchmark, '{output}' is neither")


def _check(config: Config, asked: Mapping[str, Any]) -> None:
    """Refuses what no benchmark can be made of."""
    values = config.values.benchmark
    _refuse_keys("what is asked for of all", {key: it for key, it in asked.items() if key != "output"}, _OF_A_CELL)
    for task in values.tasks:
        _refuse_keys(f"the task {task}", read_changes(task.split()), (*_OF_A_CELL, *_OF_ALL))
    for agent in values.agents:
        keys = (*_OF_A_CELL, *_OF_ALL, "scenario")
        _refuse_keys(f"the agent {agent}", read_changes(agent.split()), [key for key in keys if key != "actor.mode"])
    for key in ("tasks", "agents", "seeds"):
        names = [slug(str(it)) for it in values[key]]
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"{_COMMAND}.{key} must be a list of different entries, got {list(values[key])}")
    if len(values.seeds) * values.num_episodes > SPLIT_SIZE:
        raise ConfigError(
            f"{len(values.seeds)} trainings with {values.num_episodes} entries each take more than the {SPLIT_SIZE} of "
            f"the manifest: choose at most num_episodes={SPLIT_SIZE // len(values.seeds)}"
        )
    with refusals(f"{_COMMAND}."):
        check_decidable(values.fail_under, num_episodes=len(values.seeds) * values.num_episodes)


def _refuse_keys(of_what: str, changes: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Refuses keys, and those below them, that a benchmark sets itself, or that are for all."""
    flat = flatten(changes)
    for key in flat:
        if key in keys or key.partition(".")[0] in keys:
            raise ConfigError(
                f"{of_what} must not set {key}, got {typed(flat[key])}: {_COMMAND}.seeds, {_COMMAND}.agents, "
                f"{_COMMAND}.split and the like say it of each cell, and the command line what is the same for all"
            )


def _trainings(config: Config, asked: Mapping[str, Any], output: Path) -> list[Training]:
    """Returns all trainings: each has what is asked for of all, and on top what its task says."""
    shared = {key: it for key, it in asked.items() if key.split(".")[0] != SECTION and key not in _own_keys(config)}
    trainings = []
    for task in config.values.benchmark.tasks:
        for seed in config.values.benchmark.seeds:
            folder = output / "runs" / f"{slug(task)}_seed{seed}"
            changes = {**shared, **read_changes(task.split()), "seed": seed, "output": str(folder)}
            trainings.append(Training(task, seed, changes, folder))
    return trainings


def _own_keys(config: Config) -> set[str]:
    """Returns the keys of the section, which are taken with and without its name."""
    return {str(key) for key in config.values.benchmark} | {"output"}


def slug(text: str) -> str:
    """Returns a text as a name for a folder."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text).strip("_")


def _try_all(config: Config, trainings: Sequence[Training]) -> dict[tuple[str, str], str]:
    """Tries every task and every agent in it, before anything is trained.

    Returns:
        Task and agent that do not go together, to the sentence that says why.

    Raises:
        ConfigError: A task cannot be trained, or an agent can act in none.
    """
    refused: dict[tuple[str, str], str] = {}
    firsts = {training.task: training for training in reversed(trainings)}
    for training in trainings:
        continues(compose_config(training.changes), training.folder)
    for task, training in reversed(firsts.items()):
        trained = compose_config(training.changes)
        validate_run(trained, training.folder)
        for agent in config.values.benchmark.agents:
            try:
                acting = compose_config(
                    _of_cell(config, agent, place=0), section=EVALUATE_SECTION, base=trained.plain()
                )
                validate(acting, configured_task(acting).spec)
            except ConfigError as error:
                refused[task, agent] = str(error)
    for agent in config.values.benchmark.agents:
        if all((task, agent) in refused for task in firsts):
            raise ConfigError(f"the agent {agent} can act in none of the tasks: {refused[next(iter(firsts)), agent]}")
    return refused


def _of_cell(config: Config, agent: str, *, place: int) -> dict[str, Any]:
    """Returns what an evaluation is asked for: the training at this place has these entries of the manifest."""
    values = config.values.benchmark
    return {
        **read_changes(agent.split()),
        "split": values.split,
        "first_entry": place * values.num_episodes,
        "num_episodes": values.num_episodes,
        "num_workers": values.num_workers,
    }


def _train(trainings: Sequence[Training], *, num_workers: int) -> dict[Training, str]:
    """Trains what is not trained yet, several at a time; each with one thread, whatever their number.

    Returns:
        Those that were stopped, as a world model that collapsed is, to the sentence that says why.
    """
    missing = [training for training in trainings if not (training.folder / CHECKPOINT).is_file()]
    if missing:
        print(f"{len(missing)} trainings; each says what it does in {_LOG} of its folder")
    with settings_kept():
        ended = parallel_map(
            _trainer, missing, num_workers=num_workers, chunk_size=1, description="train", unit="training"
        )
        stopped = {training: why for training, why in zip(missing, ended, strict=True) if why is not None}
    for training, why in stopped.items():
        print(f"{training}: the training was stopped: {why}")
    return stopped


def _trainer() -> Callable[[Training], str | None]:
    """Returns what trains, in whichever process."""
    return train_alone


def train_alone(training: Training) -> str | None:
    """Collects and trains in a folder of its own, with one thread and no other process.

    Returns:
        Why the training was stopped, or None where it came to its end.
    """
    torch.set_num_threads(1)
    config = compose_config({**training.changes, "collect.num_workers": 1})
    training.folder.mkdir(parents=True, exist_ok=True)
    with (
        (training.folder / _LOG).open("a", buffering=1) as log,
        redirect_stdout(log),
        redirect_stderr(log),
        locked(training.folder),
    ):
        try:
            train_on(config, begin(config, training.folder).episodes, training.folder)
        except TrainingStopped as error:
            return " ".join(str(error).split())
    return None


def _evaluate(
    config: Config,
    trainings: Sequence[Training],
    refused: Mapping[tuple[str, str], str],
    stopped: Mapping[Training, str],
    output: Path,
) -> list[Cell]:
    """Lets every agent act in every task that it can act in, with each training on entries of its own."""
    values = config.values.benchmark
    cells = []
    total = (len(values.tasks) * len(values.agents) - len(refused)) * len(values.seeds)
    with tqdm(total=total, desc="evaluate", unit="evaluation", disable=None) as progress:
        for task in values.tasks:
            for agent in values.agents:
                runs = [training for training in trainings if training.task == task]
                ended = next((f"seed {run.seed}: {stopped[run]}" for run in runs if run in stopped), None)
                sentence = refused.get((task, agent)) or ended
                evaluations = {}
                for place, run in enumerate(runs if sentence is None else ()):
                    folder = output / "cells" / slug(task) / f"{slug(agent)}_seed{run.seed}"
                    evaluations[run.seed] = it = _evaluate_one(config, run, agent, place, folder)
                    success = percent(it.results["agents"]["actor"]["success_at_end"])
                    tqdm.write(f"{task}; {agent}; seed {run.seed}: {success} at the end")
                    progress.update()
                results = {seed: it.results for seed, it in evaluations.items()}
                files = {seed: str(it.results_file.relative_to(output)) for seed, it in evaluations.items()}
                cells.append(Cell(task, agent, results, files, sentence, stopped=ended is not None))
    return cells


def _evaluate_one(config: Config, run: Training, agent: str, place: int, folder: Path) -> Evaluation:
    """Lets an agent act with a training."""
    changes = {
        **{key: it for key, it in flatten(run.changes).items() if key.startswith("evaluate.")},
        **_of_cell(config, agent, place=place),
        "run": str(run.folder),
        "output": str(folder),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.{_LOG}").open("a", buffering=1) as log, redirect_stdout(log):
        return evaluate_agent(changes)


def _write(config: Config, asked: Mapping[str, Any], cells: Sequence[Cell], output: Path) -> Benchmark:
    """Prints the table, and writes it in all its forms."""
    values = config.plain()["values"]["benchmark"]
    shipped = compose_config([]).plain()["values"]["benchmark"]
    if values["tasks"] != shipped["tasks"] and values["published"] == shipped["published"]:
        values["published"] = []
    description = {key: values[key] for key in ("split", "num_episodes", "seeds", "fail_under", "published")}
    results = make_results(cells, {"protocol": PROTOCOL, **description, "versions": package_versions()})
    print(format_benchmark(results))
    write_whole(output / CSV_FILE, as_csv(results))
    write_whole(output / JUNIT_FILE, as_junit(results))
    print(f"results: {write_results(results, output)}")
    keys = [shlex.quote(f"{key}={typed(it)}") for key, it in flatten(asked).items() if key != "output"]
    command = " ".join(["jepa-mpc benchmark", *keys, "output=DIR"])
    report_file = write_benchmark_report(output, results=results, cells=cells, command=command)
    if unjudged := sum(row["pooled"] is None for row in results["cells"]):
        print(f"{unjudged} of {len(results['cells'])} cells were not judged")
    failed = [] if values["fail_under"] is None else below(results, values["fail_under"])
    for row in failed:
        low = row["pooled"]["success_at_end"]["low"]
        print(
            f"{row['task']}; {row['agent']}: the lower bound of success at the end, {low:.6f}, is below "
            f"fail_under={values['fail_under']}"
        )
    return Benchmark(
        folder=output,
        results=results,
        report_file=report_file,
        passed=not failed and not any(cell.stopped for cell in cells),
    )
