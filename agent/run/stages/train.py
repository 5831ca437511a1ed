"""jepa-mpc train: train a world model on recorded episodes, and the critics and the policy that stand on it.

An interrupted training goes on from its last checkpoint, to the same bytes. A model that has collapsed, or that is deaf
to actions, stops the training with one sentence and exit code 1.

usage: jepa-mpc train data=DIR [output=DIR] [seed=N] [regularizer=NAME] [key=value ...] [-m]
"""

from dataclasses import dataclass
from pathlib import Path

from agent.actor import Actor
from agent.run.config.building import build
from agent.run.config.composing import Changes, Config, ConfigError, compose_config, read_changes
from agent.run.config.saved import CONFIG_FILE, continues, save_config
from agent.run.config.tasks import env_name
from agent.run.stages.collect import output_folder
from agent.run.stages.learn import learn
from agent.run.stages.loading import load_agent
from agent.run.stages.lock import locked
from agent.run.stages.pictures import draw_pictures
from agent.run.stages.validation import validate, validate_learning
from agent.run.stages.vision import configured_task
from envs.episodes.episode import DatasetError, EpisodeDataset, open_dataset
from envs.spec import TaskSpec
from world_model.training.settings import TrainingSettings

SECTION = "train"


@dataclass(frozen=True)
class Training:
    """A finished training.

    Attributes:
        folder: Where all that was learned lies, with its logs.
        checkpoint: What acts, in one file.
        pictures: Of what was learned to see, for people.
    """

    folder: Path
    checkpoint: Path
    pictures: tuple[Path, ...]

    @property
    def agent(self) -> Actor:
        """The agent that acts with what was learned."""
        return load_agent(self.folder)


def main(changes: Changes) -> int:
    """Runs the command."""
    folder = train_agent(changes).folder
    print(f"what was learned lies in {folder}; next: jepa-mpc evaluate run={folder}")
    return 0


def train_agent(changes: Changes) -> Training:
    """Trains what is asked for."""
    changes = read_changes(changes)
    config = compose_config(changes, section=SECTION)
    if config.values.train.data is None:
        raise ConfigError("train needs a folder of episodes, as in `jepa-mpc train data=runs/reach_state_data_seed0`")
    dataset = open_dataset(Path(config.values.train.data))
    env = env_name(dataset, asked=str(config.choices["env"]))
    if "env" in changes and config.choices["env"] != env:
        raise ConfigError(f"the episodes in '{dataset.folder}' are of env={env}, got env={config.choices['env']}")
    config = compose_config({**changes, "env": env}, section=SECTION)
    _check_observation(config, dataset)
    output = output_folder(config, "model")
    is_new = not continues(config, output)
    validate(config, dataset.manifest.env)
    validate_learning(config, dataset.num_episodes, int(dataset.lengths.max()))
    print(config.recipe)
    print(f"training on {dataset.num_episodes} episodes of {env}, writing to {output}")
    with locked(output):
        if is_new:
            save_config(config, output)
        try:
            return train_on(config, dataset, output)
        except DatasetError:
            if is_new:  # nothing is in the way of the same command with sound data
                (output / CONFIG_FILE).unlink()
            raise


def train_on(config: Config, dataset: EpisodeDataset, output: Path) -> Training:
    """Learns what the config asks for, and draws pictures of it."""
    _tell_what_is_too_short(config, dataset)
    checkpoint = learn(config, dataset, output)
    return Training(folder=output, checkpoint=checkpoint, pictures=tuple(draw_pictures(config, dataset, output)))


def _tell_what_is_too_short(config: Config, dataset: EpisodeDataset) -> None:
    """Says how many episodes are too short for the world model to learn from, if any are."""
    values = config.values
    settings: TrainingSettings = build(values.training)
    window = settings.window_steps(
        context_length=values.world_model.context_length, action_repeat=values.world_model.action_repeat
    )
    if num_short := int((dataset.lengths < window).sum()):
        print(
            f"{num_short} of {dataset.num_episodes} episodes have fewer than the {window} control steps that the world "
            "model learns from at a time: it skips them"
        )


def _check_observation(config: Config, dataset: EpisodeDataset) -> None:
    """Refuses episodes that were recorded in another observation mode, with other cameras, or of another scene."""
    recorded = _shown(dataset.manifest.env)
    here = configured_task(config).spec
    asked = _shown(here)
    if recorded != asked:
        raise ConfigError(
            f"the episodes in '{dataset.folder}' were recorded for an agent that sees {recorded}, with "
            f"observation={config.choices['observation']} it sees {asked}: choose the observation that they were "
            "recorded with, or record others"
        )
    for key, (there, now) in dataset.manifest.env.differences(here).items():
        raise ConfigError(
            f"the episodes in '{dataset.folder}' were recorded with {key}={there}, here it is {now}: record others"
        )


def _shown(env: TaskSpec) -> str:
    """Returns what an agent sees there, for people."""
    return ", ".join(f"{name} {list(env.shapes[name])}" for name in env.perceived)
