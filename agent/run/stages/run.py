"""jepa-mpc run: collect, train and evaluate, from nothing to a success rate, all under one folder.

The same command goes on where it was interrupted; a finished stage is not done again.

usage: jepa-mpc run [env=reach|push] [observation=state|pixels|pixels+proprio] [seed=N]
                    [output=DIR] [key=value ...] [-m]
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from agent.actor import Actor
from agent.run.config.composing import Changes, Config, compose_config
from agent.run.config.saved import continues, save_config
from agent.run.stages.collect import Collection, collect_data, output_folder
from agent.run.stages.evaluate import Evaluation, evaluate_on
from agent.run.stages.loading import DATA_FOLDER
from agent.run.stages.lock import locked
from agent.run.stages.train import Training, train_on
from agent.run.stages.validation import validate, validate_learning
from agent.run.stages.vision import configured_task

SECTION = None


@dataclass(frozen=True)
class Run:
    """A whole run.

    Attributes:
        folder: Where everything of it lies.
        collection: What was recorded.
        training: What was learned.
        evaluation: How well it acts.
    """

    folder: Path
    collection: Collection
    training: Training
    evaluation: Evaluation

    @property
    def results(self) -> Mapping[str, Any]:
        """What results.json holds."""
        return self.evaluation.results

    @property
    def report_file(self) -> Path:
        """Where the same lies to look at, with what was learned."""
        return self.evaluation.report_file

    @property
    def agent(self) -> Actor:
        """The agent, as it was evaluated."""
        return self.evaluation.agent


def main(changes: Changes) -> int:
    """Runs the command."""
    start = perf_counter()
    run = run_stages(changes)
    print(f"done in {perf_counter() - start:.0f} s")
    return int(not run.evaluation.passed)


def run_stages(changes: Changes) -> Run:
    """Collects, trains and evaluates what is asked for."""
    start = perf_counter()
    config = compose_config(changes, section=SECTION)
    output = output_folder(config, "run")
    validate_run(config, output)
    print(config.recipe)
    print(f"everything of this run lies in {output}")
    with locked(output):
        print("1/3 collect")
        collection = begin(config, output)
        print(f"2/3 train ({perf_counter() - start:.0f} s so far)")
        training = train_on(config, collection.episodes, output)
        print(f"3/3 evaluate ({perf_counter() - start:.0f} s so far)")
        evaluation = evaluate_on(config, output, output)
    return Run(folder=output, collection=collection, training=training, evaluation=evaluation)


def validate_run(config: Config, output: Path) -> None:
    """Tries all that a run asks for, before its first stage.

    Raises:
        ConfigError: A value that does not fit, or a folder that holds another run.
    """
    continues(config, output)
    validate(config, configured_task(config).spec)
    validate_learning(config, config.values.collect.num_episodes, config.values.collect.num_steps)


def begin(config: Config, output: Path) -> Collection:
    """Notes in the run's folder what it is, and collects."""
    if not continues(config, output):
        save_config(config, output)
    return collect_data(config, output / DATA_FOLDER)
