"""jepa-mpc collect: record episodes of a simulated robot that explores, in parallel processes.

An interrupted collection goes on where it was, and ends with the same bytes.

usage: jepa-mpc collect [env=reach|push] [observation=state|pixels|pixels+proprio] [num_episodes=N] [seed=N]
                        [output=DIR] [key=value ...]
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.host import settings_kept
from agent.run.config.building import build
from agent.run.config.composing import Changes, Config, ConfigError, compose_config
from agent.run.stages.lock import locked
from agent.run.stages.validation import validate_collection
from agent.run.stages.vision import configured_task, make_vision, task_factory
from envs.episodes.collection import collect
from envs.episodes.episode import EpisodeDataset, open_dataset

SECTION = "collect"


@dataclass(frozen=True)
class Collection:
    """Recorded episodes.

    Attributes:
        folder: Where they lie.
        report: Measures of the whole, by name.
    """

    folder: Path
    report: Mapping[str, float]

    @property
    def episodes(self) -> EpisodeDataset:
        """The episodes themselves."""
        return open_dataset(self.folder)


def main(changes: Changes) -> int:
    """Runs the command."""
    collection = collect_episodes(changes)
    print(f"the episodes lie in {collection.folder}; next: jepa-mpc train data={collection.folder}")
    return 0


def collect_episodes(changes: Changes) -> Collection:
    """Collects what is asked for."""
    config = compose_config(changes, section=SECTION)
    output = output_folder(config, "data")
    validate_collection(config, configured_task(config).spec)  # before anything is written
    print(config.recipe)
    with locked(output):
        return collect_data(config, output)


def collect_data(config: Config, output: Path) -> Collection:
    """Collects what the config asks for, and prints what it came to."""
    values = config.values
    with settings_kept():
        manifest = collect(
            make_task=task_factory(config),
            vision=make_vision(config),
            make_policy=build(values.exploration),
            policy_name=str(config.choices["exploration"]),
            policy_values=config.named("exploration")["values"],
            seed=values.seed,
            num_episodes=values.collect.num_episodes,
            num_steps=values.collect.num_steps,
            num_workers=values.collect.num_workers,
            output=output,
        )
    for measure, value in manifest.report.items():
        if value is not None:
            print(f"  {measure.replace('_', ' ')}: {value:.3f}")
    return Collection(folder=output, report=manifest.report)


def output_folder(config: Config, what: str) -> Path:
    """Returns the folder that the config names, or one under runs/ named after the task and the seed.

    Raises:
        ConfigError: It names a file.
    """
    values = config.values
    default = f"runs/{config.choices['env']}_{config.choices['observation']}_{what}_seed{values.seed}"
    folder = Path(default if values.output is None else values.output)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"output must be a folder, '{folder}' is a file")
    return folder
