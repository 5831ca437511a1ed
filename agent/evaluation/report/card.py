"""What was evaluated with what, and the commands that come to the same."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.evaluation.report.document import Section, Table


def card_section(results: Mapping[str, Any], *, num_cores: int, commands: Sequence[str]) -> Section:
    """Returns the version card of an evaluation.

    Args:
        results: What results.json holds.
        num_cores: Of the machine that evaluated.
        commands: That come to the same, as they are typed.
    """
    return Section(
        title="Reproduce",
        text="The same records, bit for bit, come from these commands under the same versions; times differ."
        if results["reproducible"]
        else f"Not reproducible: {'; '.join(results['not_reproducible'])}.",
        tables=(
            Table(title="What was evaluated", columns=("what", "which"), rows=_rows(results, num_cores)),
            versions_table(results["versions"]),
        ),
        commands=tuple(commands),
    )


def versions_table(versions: Mapping[str, str]) -> Table:
    """Returns a row a package."""
    return Table(title="Versions", columns=("package", "version"), rows=tuple(versions.items()))


def _rows(results: Mapping[str, Any], num_cores: int) -> tuple[tuple[str, str], ...]:
    episodes = results["agents"]["actor"]["episodes"]
    first = results["first_entry"]
    rows = {
        "protocol": f"{results['protocol']['name']}, described in {results['protocol']['described_in']}",
        "split": results["split"],
        "entries of its manifest": f"{first} to {first + len(episodes) - 1}",
        "seeds of the episodes": f"{episodes[0]['seed']} to {episodes[-1]['seed']}",
        "looks at the evaluation split": str(results["evaluation_looks"]),
        "training's seed": str(results["seed"]),
        "checkpoint, SHA-256": results["checkpoint"]["sha256"],
        "planner": results["planner"],
        "mode": results["mode"],
        "configurator": results["configurator"],
        "scenario": results["scenario"],
        "renderer": ", ".join(results["renderer"]) if results["renderer"] else "none: nothing is seen by a camera",
        "starts drawn anew, being solved already": str(results["solved_at_start_redrawn"]),
        "machine's cores": str(num_cores),
    }
    return tuple(rows.items())
