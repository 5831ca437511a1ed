"""Variants of a finished run's agent on the same episodes.

An episode is kept under a hash of all that it depends on, so that what was interrupted goes on where it was, and no
episode is run twice that two benchmarks, or two rows of a table, have in common.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from agent.evaluation.episodes import EvaluatedEpisode, judged
from agent.evaluation.evaluate import EpisodeTask, evaluate
from agent.evaluation.results import summarize
from agent.evaluation.seeds import Entries
from agent.evaluation.statistics import Difference, paired_difference, percentiles
from agent.run.config.composing import Config, compose_config
from agent.run.config.saved import read_config
from agent.run.stages.evaluate import PolicyFactory, fingerprint, package_versions
from agent.run.stages.loading import checkpoint_path, load_modules
from agent.run.stages.looks import count_looks
from agent.run.stages.scenario import scenario_maker
from agent.run.stages.validation import validate
from agent.run.stages.vision import make_vision, task_factory
from world_model.training.checkpoint import file_sha256

SETTINGS: Mapping[str, Any] = {"run": "???", "output": None, "num_episodes": 300, "num_workers": 2}
"""What every such benchmark takes as key=value: a finished run, where findings go (null: RUN/benchmarks), ..."""

_FINDINGS_FOLDER = "benchmarks"
_RECORDS_FOLDER = "records"


@dataclass(frozen=True)
class Variant:
    """An agent of a run, and what happens to it.

    Attributes:
        name: For the table.
        overrides: Changes to the run's own config, as on the command line.
        num_episodes: How many it is to run.
    """

    name: str
    overrides: tuple[str, ...]
    num_episodes: int


class FinishedRun:
    """A finished run whose agent is measured in variants.

    Args:
        folder: Of the run.
        output: Where findings go; None for a folder inside the run's.
        num_workers: Processes.
    """

    def __init__(self, folder: Path, *, output: Path | None, num_workers: int) -> None:
        self.folder = folder
        self.output = folder / _FINDINGS_FOLDER if output is None else output
        self._num_workers = num_workers
        self._saved = read_config(folder)
        self._checkpoint_sha256 = file_sha256(checkpoint_path(folder))
        self.config = self.compose(())
        self.spec = load_modules(self.config, checkpoint_path(folder)).spec

    @classmethod
    def of(cls, settings: DictConfig) -> "FinishedRun":
        """Returns the run that the settings of a benchmark name."""
        output = None if settings.output is None else Path(settings.output)
        return cls(Path(settings.run), output=output, num_workers=settings.num_workers)

    def compose(self, overrides: Sequence[str]) -> Config:
        """Returns the run's own config with changes on top."""
        return compose_config(overrides, base=self._saved)

    def configured_by(self, configurator: str) -> tuple[str, ...]:
        """Returns overrides that choose a configurator; horizon and budget stay the run's."""
        return configured_by(self.config, configurator)

    def evaluate(self, variants: Sequence[Variant], *, split: str) -> dict[str, list[EvaluatedEpisode]]:
        """Returns each variant's episodes, by its name: the first of a split, the same for all."""
        configs = {variant.name: self.compose(variant.overrides) for variant in variants}
        for config in configs.values():
            validate(config, self.spec)
        return {variant.name: self._episodes(variant, configs[variant.name], split) for variant in variants}

    def describe(self, **further: Any) -> dict[str, Any]:
        """Returns what the file of a finding says about where it comes from."""
        return {
            "env": self.config.choices["env"],
            "observation": self.config.choices["observation"],
            "seed": self.config.values.seed,
            "checkpoint": {"sha256": self._checkpoint_sha256},
            **further,
            "versions": package_versions(),
        }

    def _episodes(self, variant: Variant, config: Config, split: str) -> list[EvaluatedEpisode]:
        identity = fingerprint(config, self._checkpoint_sha256)
        entries = Entries(split, 0, variant.num_episodes)
        count_looks(self.folder, entries, fingerprint=identity)
        folder = self.output / _RECORDS_FOLDER / identity[:16]
        folder.mkdir(parents=True, exist_ok=True)
        finished = evaluate(
            [EpisodeTask("actor", seed) for seed in entries.seeds],
            make_task=task_factory(config),
            vision=make_vision(config),
            make_policy=PolicyFactory(run_folder=self.folder, config=config.plain()),
            make_scenario=scenario_maker(config),
            num_workers=self._num_workers,
            fingerprint=identity,
            output=folder,
        )
        episodes = [episode for _, episode in finished]
        at_end = sum(episode.record.success_at_end for episode in episodes)
        print(f"{variant.name}: {at_end} of {len(episodes)} at the end", flush=True)
        return episodes


def configured_by(config: Config, configurator: str) -> tuple[str, ...]:
    """Returns overrides that choose a configurator; horizon and budget stay those of the config."""
    own = config.values.configurator
    return (
        f"configurator={configurator}",
        f"configurator.horizon={own.horizon}",
        f"configurator.num_evaluations={spelled(own.num_evaluations)}",
    )


def measures(episodes: Sequence[EvaluatedEpisode]) -> dict[str, Any]:
    """Returns both success rates and all records, the evaluations spent a model step, and what its decision took, ms.

    A model step is a control step at which something was decided, be it by planning or by reacting.
    """
    return {
        "evaluations_per_step": float(sum(spent(episodes)) / sum(decisions(episodes))),
        "decision_ms": percentiles(
            [
                latency
                for episode in episodes
                for latency, mode in zip(episode.latencies_ms, episode.modes, strict=True)
                if mode is not None
            ]
        ),
        **summarize(episodes),
    }


def spent(episodes: Sequence[EvaluatedEpisode]) -> list[int]:
    """Returns the evaluations that each episode took."""
    return [sum(episode.num_evaluations) for episode in episodes]


def decisions(episodes: Sequence[EvaluatedEpisode]) -> list[int]:
    """Returns the model steps that each episode had."""
    return [sum(mode is not None for mode in episode.modes) for episode in episodes]


def difference_at_end(episodes: Sequence[EvaluatedEpisode], reference: Sequence[EvaluatedEpisode]) -> Difference:
    """Returns by how much success at the end is above that of a reference, in the same episodes."""
    assert [episode.record.seed for episode in episodes] == [episode.record.seed for episode in reference]
    ours, theirs = ([episode.record.success_at_end for episode in judged(run)] for run in (episodes, reference))
    return paired_difference(ours, theirs)


def cells(row: Mapping[str, Any]) -> list[str]:
    """Returns what a table shows of `measures`; see `HEADER`."""
    return [
        percent(row["success_at_end"]),
        percent(row["success_once"]),
        f"{row['evaluations_per_step']:.0f}",
        f"{row['decision_ms']['p50']:.1f}",
        f"{row['decision_ms']['p99']:.1f}",
    ]


HEADER = ("at the end, %", "once, %", "evaluations a step", "step p50, ms", "step p99, ms")


def percent(rate: Mapping[str, float]) -> str:
    """Returns a rate and its interval, %."""
    return f"{100 * rate['rate']:.1f} ({100 * rate['low']:.1f} to {100 * rate['high']:.1f})"


def points(difference: Difference) -> str:
    """Returns a difference between rates and its interval, in points."""
    middle, low, high = (100 * value for value in asdict(difference).values())
    return f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"


def bootstrap_interval(values: Iterable[float]) -> tuple[float, float]:
    """Returns the 95 % interval of a statistic from its values in resamples."""
    low, high = np.percentile(list(values), [2.5, 97.5])
    return float(low), float(high)


def spelled(value: Any) -> str:
    """Returns a value as an override on the command line spells it."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {spelled(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(spelled, value)) + "]"
    return f"'{value}'" if isinstance(value, str) else str(value)
