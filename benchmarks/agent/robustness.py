"""How the agent bears a world that is not quite the one that it learned in.

`python -m benchmarks.agent.robustness run=runs/push` lets the run's agent, as it is, act in the same episodes as they
are and with one thing altered: the camera moved or turned, the light and the colours, the block's mass and the
friction, noise on pictures and positions, and actions that take effect late. It prints the paired differences. What
makes no difference to an agent, as the camera where it sees by none, is left out, and told.

All settings: run=DIR, output=DIR (RUN/benchmarks), num_episodes=300, num_workers=2, split=evaluation.
An interrupted call goes on where it was.
"""

from dataclasses import asdict
from typing import Any

from agent.evaluation.results import write_results
from agent.latency import control_steps
from agent.run.stages.lock import locked
from benchmarks.agent.finished_runs import (
    HEADER,
    SETTINGS,
    FinishedRun,
    Variant,
    cells,
    difference_at_end,
    measures,
    points,
)
from benchmarks.arguments import call, read_settings
from benchmarks.tables import table

FILE = "robustness.json"
SCHEMA = 1
AS_IT_IS = "as it is"

ALTERATIONS = {
    "camera moved by 2 cm": ("camera_shift=0.02",),
    "camera turned by 3 degrees": ("camera_turn=3.0",),
    "light by a third less": ("light=0.67",),
    "light by a third more": ("light=1.33",),
    "other colours": ("tint=0.15",),
    "noise of 10 grey levels": ("image_noise=10.0",),
    "half the mass": ("mass=0.5",),
    "double mass": ("mass=2.0",),
    "half the friction": ("friction=0.5",),
    "double friction": ("friction=2.0",),
    "5 mm of noise on positions": ("position_noise=0.005",),
}
"""Name to changes of `scenario=altered`."""

OF_CAMERAS = ("camera_shift", "camera_turn", "light", "tint", "image_noise")
OF_NUMBERS = ("position_noise",)

LATENCIES = (1, 2, 3, 4)
"""Control steps, of which the agent is told."""


def main() -> None:
    settings = read_settings({**SETTINGS, "split": "evaluation"})
    run = FinishedRun.of(settings)
    kinds = {run.spec.sensors[name].is_image for name in run.spec.perceived}
    unseen = (() if True in kinds else OF_CAMERAS) + (() if False in kinds else OF_NUMBERS)
    left_out = [name for name, changes in ALTERATIONS.items() if changes[0].split("=")[0] in unseen]
    variants = [Variant(AS_IT_IS, ("scenario=undisturbed",), settings.num_episodes)]
    for name, changes in ALTERATIONS.items():
        if name not in left_out:
            overrides = ("scenario=altered", *(f"scenario.{change}" for change in changes))
            variants.append(Variant(name, overrides, settings.num_episodes))
    repeat, horizon = run.config.values.world_model.action_repeat, run.config.values.configurator.horizon
    for latency in LATENCIES:
        late = ("scenario=latency", f"scenario.num_steps={latency}")
        farther = f"configurator.horizon={max(horizon, -(-latency // repeat))}"  # it imagines as far as it is late
        variants.append(Variant(f"{control_steps(latency)} late", (*late, farther), settings.num_episodes))
    with locked(run.output):
        episodes = run.evaluate(variants, split=settings.split)
        rows: dict[str, dict[str, Any]] = {}
        shown = []
        for name, altered in episodes.items():
            row, against = measures(altered), difference_at_end(altered, episodes[AS_IT_IS])
            rows[name] = {**row, "difference_at_end": asdict(against)}
            shown.append([name, *cells(row), str(len(altered)), "" if name == AS_IT_IS else points(against)])
        print(table(["world", *HEADER, "n", f"against {AS_IT_IS}, points"], shown))
        if left_out:
            print(f"the agent does not see, and so left out: {', '.join(left_out)}")
        findings = {"schema": SCHEMA, **run.describe(split=settings.split), "worlds": rows, "left_out": left_out}
        print(f"robustness: {write_results(findings, run.output, file=FILE)}")


if __name__ == "__main__":
    call(main)
