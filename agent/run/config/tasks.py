"""Which of the shipped environments a dataset comes from."""

from contextlib import closing

from omegaconf import OmegaConf

from agent.run.config.building import build
from agent.run.config.composing import ConfigError, compose_config, group_names
from envs.episodes.episode import EpisodeDataset
from envs.spec import TaskSpec
from jepa_mpc.errors import UserError


def env_name(dataset: EpisodeDataset, *, asked: str | None = None) -> str:
    """Returns the name of the env config that a dataset was collected with.

    Several may make tasks of one environment, as with other goals: then it is that which is asked for, or the first of
    those that say the same as the dataset.

    An environment that registers itself in its own file is named `that.file:its/Id-v0` there. What a dataset says of
    itself never decides which file is imported.

    Raises:
        ConfigError: No shipped config has that environment.
    """
    env_ids = {name: _env_id(name) for name in group_names()["env"]}
    recorded = dataset.manifest.env
    names = [name for name, env_id in env_ids.items() if env_id.rpartition(":")[2] == recorded.task_id]
    if not names:
        known = sorted(filter(None, env_ids.values()))
        raise ConfigError(f"the episodes in '{dataset.folder}' are of {recorded.task_id}, none of {known}")
    if asked in names:
        return asked
    return names[0] if len(names) == 1 else next((name for name in names if _spec(name) == recorded), names[0])


def _env_id(name: str) -> str:
    """Returns the id of the environment that an env config makes tasks of, or "" where it names none."""
    try:
        return str(OmegaConf.select(compose_config([f"env={name}"]).values, "env.env_id", default=""))
    except UserError:  # that another yaml does not fit is no matter of this dataset
        return ""


def _spec(name: str) -> TaskSpec | None:
    """Returns what a task of an env config is, or None where none can be made."""
    try:
        with closing(build(compose_config([f"env={name}"]).values.env)(vision=None, film_size=None)) as task:
            spec: TaskSpec = task.spec
            return spec
    except (TypeError, ValueError):
        return None
