"""How the agent bears disturbances: a hidden sensor, a shove, and a tour before the task.

`python -m benchmarks.agent.disturbances run=runs/demo` lets the run's agent, as it is, act in the same episodes
undisturbed, with the block's sensors hidden for half a second (its cameras, where it sees by some), and with the block
shoved, and prints the paired differences. Then it touches three targets in their order before the push, in longer
episodes. What cannot happen in the run's task is left out, and told.

All settings: run=DIR, output=DIR (RUN/benchmarks), num_episodes=300, num_tours=100, num_workers=2, split=evaluation.
An interrupted call goes on where it was.
"""

from dataclasses import asdict
from typing import Any

from agent.evaluation.results import write_results
from agent.run.config.composing import ConfigError
from agent.run.stages.lock import locked
from agent.run.stages.validation import validate
from benchmarks.agent.finished_runs import (
    HEADER,
    SETTINGS,
    FinishedRun,
    Variant,
    cells,
    difference_at_end,
    measures,
    points,
    spelled,
)
from benchmarks.arguments import call, read_settings
from benchmarks.tables import table

FILE = "disturbances.json"
SCHEMA = 1
REFERENCE, HIDDEN = "undisturbed", "hidden_sensor"
WORST_DIFFERENCE = {HIDDEN: -0.10, "shove": -0.05}
"""Scenario to how far success at the end may fall."""
TOUR, LEAST_OF_TOURS = "tour", 0.90
ROUNDING = 1e-9


def main() -> None:
    settings = read_settings({**SETTINGS, "num_tours": 100, "split": "evaluation"})
    run = FinishedRun.of(settings)
    counts = {**dict.fromkeys((REFERENCE, *WORST_DIFFERENCE), settings.num_episodes), TOUR: settings.num_tours}
    variants = [Variant(name, staged(run, name), count) for name, count in counts.items()]
    left_out = {variant.name: reason for variant in variants if (reason := impossible(run, variant))}
    variants = [variant for variant in variants if variant.name not in left_out]
    with locked(run.output):
        episodes = run.evaluate(variants, split=settings.split)
        rows: dict[str, dict[str, Any]] = {}
        shown = []
        for name, of_scenario in episodes.items():
            row, difference, reached = measures(of_scenario), "", ""
            rate = row["success_at_end"]["rate"]
            if name in WORST_DIFFERENCE:
                against = difference_at_end(of_scenario, episodes[REFERENCE])
                row["difference_at_end"] = asdict(against)
                difference = points(against)
                reached = judged(
                    against.difference >= WORST_DIFFERENCE[name] - ROUNDING, f"{100 * WORST_DIFFERENCE[name]:+.0f}"
                )
            elif name == TOUR:
                reached = judged(rate >= LEAST_OF_TOURS, f"{LEAST_OF_TOURS:.0%}")
            rows[name] = row
            shown.append([name, *cells(row), str(len(of_scenario)), difference, reached])
        print(table(["scenario", *HEADER, "n", f"against {REFERENCE}, points", "asked"], shown))
        for name, reason in left_out.items():
            print(f"{name} is left out: {reason}")
        findings = {"schema": SCHEMA, **run.describe(split=settings.split), "scenarios": rows, "left_out": left_out}
        print(f"disturbances: {write_results(findings, run.output, file=FILE)}")


def staged(run: FinishedRun, scenario: str) -> tuple[str, ...]:
    """Returns overrides that choose a scenario; where the agent sees by cameras, they are the sensors that fail."""
    cameras = [name for name in run.spec.perceived if run.spec.sensors[name].is_image]
    blind = (f"scenario.sensors={spelled(cameras)}",) if cameras and scenario == HIDDEN else ()
    return (f"scenario={scenario}", *blind)


def impossible(run: FinishedRun, variant: Variant) -> str | None:
    """Returns why a disturbance cannot happen in the run's task, if it cannot."""
    if variant.name == REFERENCE:
        return None
    try:
        validate(run.compose(variant.overrides), run.spec)
    except ConfigError as error:
        return str(error)
    return None


def judged(reached: bool, asked: str) -> str:
    return f"at least {asked}: {'yes' if reached else 'no'}"


if __name__ == "__main__":
    call(main)
