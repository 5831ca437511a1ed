"""jepa-mpc compare: two evaluations of the same episodes, episode by episode.

Prints by how much the first succeeds more often than the second, with an interval and McNemar's exact test, and writes
results.json and report.html. DIR is the folder of a finished run, evaluation or benchmark; of two benchmarks all tasks,
agents and seeds are compared that they have in common. Evaluations of different episodes are refused.

usage: jepa-mpc compare DIR DIR output=DIR
"""

from collections.abc import Sequence

from agent.run.config.composing import ConfigError, folder
from agent.run.stages.compare import compare_evaluations

_EXAMPLE = "as in `jepa-mpc compare runs/first runs/second output=runs/compared`"


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    outputs = [text for text in arguments if text.startswith("output=")]
    folders = [text for text in arguments if text not in outputs]
    if len(folders) != 2 or len(outputs) != 1 or any(text.startswith("-") for text in folders):
        raise ConfigError(f"compare takes two folders and an output, {_EXAMPLE}, got {list(arguments)}")
    first, second = (folder(text, text) for text in folders)
    compare_evaluations(first, second, folder(outputs[0].removeprefix("output="), outputs[0]))
    return 0
