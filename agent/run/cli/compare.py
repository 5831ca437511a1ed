"""jepa-mpc compare: two evaluations of the same episodes, episode by episode.

Prints by how much the first succeeds more often than the second, with an interval and McNemar's exact test, and writes
results.json and report.html. DIR is the folder of a finished run, evaluation or benchmark; of two benchmarks all tasks,
agents and seeds are compared that they have in common. Evaluations of different episodes are refused.

usage: jepa-mpc compare DIR DIR output=DIR
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from agent.evaluation.pairs import KIND, compare, format_pairs
from agent.evaluation.report.document import REPORT_FILE, write_report
from agent.evaluation.report.pairs import comparison_report
from agent.evaluation.results import RESULTS_FILE, write_results
from agent.run.config.composing import ConfigError
from agent.run.config.composing import folder as typed_folder
from agent.run.stages.lock import LOCK_FILE, locked

_EXAMPLE = "as in `jepa-mpc compare runs/first runs/second output=runs/compared`"


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    outputs = [text for text in arguments if text.startswith("output=")]
    folders = [text for text in arguments if text not in outputs]
    if len(folders) != 2 or len(outputs) != 1 or any(text.startswith("-") for text in folders):
        raise ConfigError(f"compare takes two folders and an output, {_EXAMPLE}, got {list(arguments)}")
    output = typed_folder(outputs[0].removeprefix("output="), outputs[0])
    first, second = (typed_folder(text, text) for text in folders)
    found = compare(first, second)
    _refuse_taken(output)
    with locked(output):
        print(format_pairs(found))
        print(f"results: {write_results(found, output)}")
        command = shlex.join(["jepa-mpc", "compare", str(first), str(second), f"output={output}"])
        report = comparison_report(found, commands=[command])
        print(f"report: {write_report(report, output / REPORT_FILE)}")
    return 0


def _refuse_taken(output: Path) -> None:
    """Refuses a folder that holds something else than an earlier comparison.

    Raises:
        ConfigError: It does.
    """
    if output.exists() and not output.is_dir():
        raise ConfigError(f"output must be a folder, '{output}' is a file")
    path = output / RESULTS_FILE
    is_taken = output.is_dir() and any(entry.name != LOCK_FILE for entry in output.iterdir())
    if is_taken and not (path.is_file() and f'"kind": "{KIND}"' in path.read_text(encoding="utf-8")):
        raise ConfigError(f"output must be a new folder or that of an earlier comparison, '{output}' is neither")
