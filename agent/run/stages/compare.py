"""Two evaluations of the same episodes, written down beside each other."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.evaluation.pairs import KIND, compare, format_pairs
from agent.evaluation.report.document import REPORT_FILE, write_report
from agent.evaluation.report.pairs import comparison_report
from agent.evaluation.results import RESULTS_FILE, write_results
from agent.run.config.composing import ConfigError
from agent.run.stages.lock import is_taken, locked


@dataclass(frozen=True)
class Pairs:
    """Two evaluations, or two benchmarks, episode by episode.

    Attributes:
        folder: Where it was written down.
        results: What results.json holds.
        report_file: Where the same lies to look at.
    """

    folder: Path
    results: Mapping[str, Any] = field(repr=False)
    report_file: Path

    @property
    def report(self) -> str:
        """The table of all pairs."""
        return format_pairs(self.results)


def compare_evaluations(first: Path, second: Path, output: Path) -> Pairs:
    """Compares what lies in two folders, prints the table, and writes it to `output`; see `pairs.compare`."""
    found = compare(first, second)
    _refuse_taken(output)
    with locked(output):
        print(format_pairs(found))
        print(f"results: {write_results(found, output)}")
        command = shlex.join(["jepa-mpc", "compare", str(first), str(second), f"output={output}"])
        report_file = write_report(comparison_report(found, commands=[command]), output / REPORT_FILE)
        print(f"report: {report_file}")
    return Pairs(folder=output, results=found, report_file=report_file)


def _refuse_taken(output: Path) -> None:
    """Refuses a folder that holds something else than an earlier comparison.

    Raises:
        ConfigError: It does.
    """
    if output.exists() and not output.is_dir():
        raise ConfigError(f"output must be a folder, '{output}' is a file")
    path = output / RESULTS_FILE
    if is_taken(output) and not (path.is_file() and f'"kind": "{KIND}"'.encode() in path.read_bytes()):
        raise ConfigError(f"output must be a new folder or that of an earlier comparison, '{output}' is neither")
