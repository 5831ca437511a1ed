"""jepa-mpc benchmark: train tasks with several seeds, let agents act in each, and put all in one table.

A task is a training, named by the keys in which it differs, an agent a way to act with what was learned. Each training
is judged on entries of the manifest that no other one sees. Trainings lie in DIR/runs, evaluations in DIR/cells; what
is finished is not done again. Writes results.json, results.csv, junit.xml and report.html. Exits with 1 where
fail_under is given and the lower bound of success at the end is below it in any cell.

usage: jepa-mpc benchmark output=DIR [tasks='["env=reach","env=push"]'] [agents='["actor.mode=planning"]']
                          [seeds=[0,1,2]] [num_episodes=N] [num_workers=W] [fail_under=R] [key=value ...]
"""

import re
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
from agent.evaluation.seeds import SPLIT_SIZE, Entries
from agent.host import settings_kept
from agent.run.config.composing import Changes, Config, ConfigError, compose_config, read_changes
from agent.run.config.refusals import refusals
from agent.run.config.saved import CONFIG_FILE, save_config
from agent.run.stages.collect import output_folder
from agent.run.stages.evaluate import evaluate_agent, package_versions
from agent.run.stages.loading import CHECKPOINT
from agent.run.stages.lock import locked
from agent.run.stages.report import write_benchmark_report
from agent.run.stages.run import begin, validate_run
from agent.run.stages.train import train_on
from agent.run.stages.validation import check_decidable, validate
from agent.run.stages.vision import configured_task
from envs.episodes.parallel import parallel_map
from jepa_mpc.files import write_whole

SECTION = "benchmark"
_COMMAND = "benchmark"
_LOG = "log.txt"


@dataclass(frozen=True)
class Benchmark:
    """A finished benchmark.

    Attributes:
        folder: Where it was written down.
        results: What results.json holds.
        report_file: Where the same lies to look at.
        passed: Whether no cell's lower bound of success at the end is below `benchmark.fail_under`.
    """

    folder: Path
    results: Mapping[str, Any] = field(repr=False)
    report_file: Path
    passed: bool

    @property
    def report(self) -> str:
        """The table of the cells."""
        return format_benchmark(self.results)


@dataclass(frozen=True)
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
    trainings = _trainings(config, asked, output)
    refused = _try_all(trainings, values.agents)
    print(
        f"{len(values.tasks)} tasks x {len(values.seeds)} trainings x {len(values.agents)} agents x "
        f"{values.num_episodes} episodes with {values.num_workers} workers, writing to {output}"
    )
    with locked(output):
        save_config(config, output, file=CONFIG_FILE)
        _train(trainings, num_workers=values.num_workers)
        cells = _evaluate(config, trainings, refused, output)
        return _write(config, cells, output)


def _check(config: Config, asked: Mapping[str, Any]) -> None:
    """Refuses what no benchmark can be made of."""
    values = config.values.benchmark
    for key in ("seed", "actor.mode"):
        if key in asked:
            raise ConfigError(
                f"{key}={asked[key]} is one of several in a benchmark: it takes {_COMMAND}.seeds and {_COMMAND}.agents"
            )
    for key in ("tasks", "agents", "seeds"):
        if not values[key] or len(set(values[key])) < len(values[key]):
            raise ConfigError(f"{_COMMAND}.{key} must be a list of different entries, got {list(values[key])}")
    if len(values.seeds) * values.num_episodes > SPLIT_SIZE:
        raise ConfigError(
            f"{len(values.seeds)} trainings with {values.num_episodes} entries each take more than the {SPLIT_SIZE} of "
            f"the manifest: choose at most num_episodes={SPLIT_SIZE // len(values.seeds)}"
        )
    with refusals(f"{_COMMAND}."):
        check_decidable(values.fail_under, num_episodes=len(values.seeds) * values.num_episodes)


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


def _try_all(trainings: Sequence[Training], agents: Sequence[str]) -> dict[tuple[str, str], str]:
    """Tries every task and every agent in it, before anything is trained.

    Returns:
        Task and agent that do not go together, to the sentence that says why.

    Raises:
        ConfigError: A task cannot be trained, or an agent can act in none.
    """
    refused: dict[tuple[str, str], str] = {}
    firsts = {training.task: training for training in reversed(trainings)}
    for task, training in reversed(firsts.items()):
        validate_run(compose_config(training.changes), training.folder)
        for agent in agents:
            try:
                config = compose_config({**training.changes, **read_changes(agent.split())})
                validate(config, configured_task(config).spec)
            except ConfigError as error:
                refused[task, agent] = str(error)
    for agent in agents:
        if all((task, agent) in refused for task in firsts):
            raise ConfigError(f"the agent {agent} can act in none of the tasks: {refused[next(iter(firsts)), agent]}")
    return refused


def _train(trainings: Sequence[Training], *, num_workers: int) -> None:
    """Trains what is not trained yet, several at a time; each with one thread, whatever their number."""
    missing = [training for training in trainings if not (training.folder / CHECKPOINT).is_file()]
    if missing:
        print(f"{len(missing)} trainings; each says what it does in {_LOG} of its folder")
    with settings_kept():
        for _ in parallel_map(
            _trainer, missing, num_workers=num_workers, chunk_size=1, description="train", unit="training"
        ):
            pass


def _trainer() -> Callable[[Training], None]:
    """Returns what trains, in whichever process."""
    return train_alone


def train_alone(training: Training) -> None:
    """Collects and trains in a folder of its own, with one thread and no other process."""
    torch.set_num_threads(1)
    config = compose_config({**training.changes, "collect.num_workers": 1})
    training.folder.mkdir(parents=True, exist_ok=True)
    with (
        (training.folder / _LOG).open("a", buffering=1) as log,
        redirect_stdout(log),
        redirect_stderr(log),
        locked(training.folder),
    ):
        train_on(config, begin(config, training.folder).episodes, training.folder)


def _evaluate(
    config: Config, trainings: Sequence[Training], refused: Mapping[tuple[str, str], str], output: Path
) -> list[Cell]:
    """Lets every agent act in every task that it can act in, with each training on entries of its own."""
    values = config.values.benchmark
    cells = []
    total = len(values.tasks) * len(values.agents) * len(values.seeds)
    with tqdm(total=total, desc="evaluate", unit="evaluation", disable=None) as progress:
        for task in values.tasks:
            for agent in values.agents:
                runs = [training for training in trainings if training.task == task]
                sentence = refused.get((task, agent))
                folders = {run.seed: f"cells/{slug(task)}/{slug(agent)}_seed{run.seed}" for run in runs}
                results = {}
                for place, run in enumerate(runs if sentence is None else ()):
                    results[run.seed] = _evaluate_one(config, run, agent, place, output / folders[run.seed])
                    tqdm.write(f"{task}; {agent}; seed {run.seed}: {_success(results[run.seed])} at the end")
                    progress.update()
                cells.append(Cell(task, agent, results, folders, sentence))
    return cells


def _evaluate_one(config: Config, run: Training, agent: str, place: int, folder: Path) -> Mapping[str, Any]:
    """Returns the results of an agent with a training: the one at this place has these entries of the manifest."""
    values = config.values.benchmark
    entries = Entries(values.split, place * values.num_episodes, values.num_episodes)
    changes = {
        **{key: it for key, it in run.changes.items() if key.startswith("evaluate.")},
        **read_changes(agent.split()),
        "run": str(run.folder),
        "output": str(folder),
        "split": entries.split,
        "first_entry": entries.first,
        "num_episodes": entries.number,
        "num_workers": values.num_workers,
    }
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.{_LOG}").open("a", buffering=1) as log, redirect_stdout(log):
        return evaluate_agent(changes).results


def _success(results: Mapping[str, Any]) -> str:
    return percent(results["agents"]["actor"]["success_at_end"])


def _write(config: Config, cells: Sequence[Cell], output: Path) -> Benchmark:
    """Prints the table, and writes it in all its forms."""
    values = config.plain()["values"]["benchmark"]
    if values["tasks"] != compose_config([]).plain()["values"]["benchmark"]["tasks"]:
        values["published"] = []
    description = {key: values[key] for key in ("split", "num_episodes", "seeds", "fail_under", "published")}
    results = make_results(cells, {"protocol": PROTOCOL, **description, "versions": package_versions()})
    print(format_benchmark(results))
    write_whole(output / CSV_FILE, as_csv(results))
    write_whole(output / JUNIT_FILE, as_junit(results))
    print(f"results: {write_results(results, output)}")
    report_file = write_benchmark_report(config, output, results=results, cells=cells)
    failed = [] if values["fail_under"] is None else below(results, values["fail_under"])
    for row in failed:
        low = row["pooled"]["success_at_end"]["low"]
        print(
            f"{row['task']}; {row['agent']}: the lower bound of success at the end, {low:.6f}, is below "
            f"fail_under={values['fail_under']}"
        )
    return Benchmark(folder=output, results=results, report_file=report_file, passed=not failed)
