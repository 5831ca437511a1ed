"""How often the goal is reached, by whom."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from agent.evaluation.report.document import Section, Table
from agent.evaluation.report.drawing import AGENTS
from agent.evaluation.report.intervals import intervals
from agent.evaluation.results import percent, told

WHO = {
    "actor": "the agent",
    "random": "random actions",
    "zero": "doing nothing",
    "expert": "a script that may look into the simulator",
    "oracle": "the agent, with MuJoCo in place of its predictor",
}
"""Agent to who that is."""


def success_section(results: Mapping[str, Any]) -> Section:
    """Returns the rates of all agents, as a table and as a drawing.

    Args:
        results: What results.json holds.
    """
    success = results["success"]
    end = success["at_end"]
    beside = "; ".join(f"{name}: {WHO[name]}" for name in results["agents"] if name in WHO)
    return Section(
        title="Success",
        text=f"Success means: {success['criterion']}. At the end: in each of the last {end['control_steps']} control "
        f"steps ({end['seconds']:g} s); once: in any. {beside[:1].upper()}{beside[1:]}.",
        figures=(
            intervals(
                "Success at the end, with its exact 95 % interval",
                {name: agent["success_at_end"] for name, agent in results["agents"].items()},
                label="success at the end, %",
                colours={name: colour for name, (colour, _) in AGENTS.items()},
                parts={},
            ),
        ),
        tables=(success_table(results),),
    )


def success_table(results: Mapping[str, Any]) -> Table:
    """Returns a row an agent, of the very numbers that results.json holds."""
    names, units = list(results["agents"]), results["units"]
    measures = list(results["agents"]["actor"].get("measures", ()))
    return Table(
        title="Every agent on the same episodes",
        columns=(
            "agent",
            "at the end",
            "once",
            *(name.replace("_", " ") for name in units),
            "steps",
            *(name.replace("_", " ") for name in measures),
            "episodes",
        ),
        rows=tuple(_row(name, results["agents"][name], units, measures) for name in names),
        main_row=names.index("actor"),
        note="Rates with their exact 95 % interval; medians of the final distance to the goal, and of the control "
        "steps to the first success where there was one"
        + "; of all else the mean of an episode" * bool(measures)
        + ".",
    )


def _row(name: str, agent: Mapping[str, Any], units: Mapping[str, str], measures: list[str]) -> tuple[str, ...]:
    records = [record for record in agent["episodes"] if not record["solved_at_start"]]
    steps = [record["steps_to_success"] for record in records if record["steps_to_success"] is not None]
    return (
        name,
        percent(agent["success_at_end"]),
        percent(agent["success_once"]),
        *(told([record["final_distances"][key] for record in records], unit) for key, unit in units.items()),
        f"{np.median(steps):.0f}" if steps else "-",
        *(f"{agent['measures'][key]:.3g}" if "measures" in agent else "-" for key in measures),
        str(agent["success_at_end"]["n"]),
    )
