"""Which of the shipped environments a dataset comes from."""

from agent.run.config.composing import ConfigError, compose_config, group_names
from envs.episodes.episode import EpisodeDataset


def env_name(dataset: EpisodeDataset) -> str:
    """Returns the name of the env config that a dataset was collected with.

    An environment that registers itself in its own file is named `that.file:its/Id-v0` there. What a dataset says of
    itself never decides which file is imported.

    Raises:
        ConfigError: No shipped config has that environment.
    """
    env_ids = {name: str(compose_config([f"env={name}"]).values.env.env_id) for name in group_names()["env"]}
    recorded = dataset.manifest.env.task_id
    for name, env_id in env_ids.items():
        if env_id.rpartition(":")[2] == recorded:
            return name
    raise ConfigError(f"the episodes in '{dataset.folder}' are of {recorded}, none of {sorted(env_ids.values())}")
