"""Which part the failed episodes lacked."""

from collections.abc import Mapping
from typing import Any

from agent.evaluation.diagnosis import PARTS
from agent.evaluation.report.bars import bars
from agent.evaluation.report.document import Section, Table
from agent.evaluation.report.drawing import VERMILLION


def diagnosis_section(diagnosis: Mapping[str, Any]) -> Section:
    """Returns what was missing in the failed episodes that were run again.

    Args:
        diagnosis: As `make_diagnosis` returns it.
    """
    if not diagnosis["num_replayed"]:
        return Section(title="What was missing", text="No episode failed.")
    parts = {part: float(number) for part, number in diagnosis["parts"].items()}
    return Section(
        title="What was missing",
        text=f"{diagnosis['num_replayed']} of {diagnosis['num_failed']} failed episodes, run again with one part "
        f"exchanged at a time; the larger budget is {diagnosis['budget_factor']} times as large.",
        figures=(bars("Which part was missing", parts, [VERMILLION] * len(parts), label="failed episodes"),),
        tables=(
            Table("Parts", ("part", "what tells"), tuple(PARTS.items())),
            Table(
                "Episodes",
                ("seed", "how it ended", "what was missing"),
                tuple((str(it["seed"]), it["outcome"].replace("_", " "), it["part"]) for it in diagnosis["episodes"]),
            ),
        ),
    )
