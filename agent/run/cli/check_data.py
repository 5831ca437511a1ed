"""jepa-mpc check-data: verify a folder of recorded episodes.

Lengths, boundaries, finiteness, checksums, and whether the actions lead where the observations say, by replaying some
episodes in the simulator. Exits with 1 where something is wrong.

usage: jepa-mpc check-data DIR
"""

from collections.abc import Sequence

from agent.run.config.composing import ConfigError, compose_config
from agent.run.config.composing import folder as typed_folder
from agent.run.config.tasks import env_name
from agent.run.stages.vision import task_factory
from envs.episodes.check import check_dataset
from envs.episodes.episode import open_dataset

NUM_REPLAYS = 10


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        raise ConfigError(f"check-data takes one folder, as in `jepa-mpc check-data runs/data`, got {list(arguments)}")
    folder = typed_folder(arguments[0], arguments[0])
    config = compose_config([f"env={env_name(open_dataset(folder))}"])
    report = check_dataset(folder, make_task=task_factory(config), num_replays=NUM_REPLAYS)
    print(report)
    return 1 if report.problems else 0
