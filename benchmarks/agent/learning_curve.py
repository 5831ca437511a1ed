"""Success by what it cost: frames, and minutes of the whole run.

`python -m benchmarks.agent.learning_curve env=push observation=pixels renderer=raycast output=runs/curve` makes whole
runs of a recipe, each with a share of its episodes and of the steps of all that learns, evaluates them on the same
episodes, prints a table, and draws success against frames and against minutes, in OUTPUT/learning_curve.png.

All settings: output=DIR, shares=[0.0625,0.125,0.25,0.5,1], num_episodes=100, split=validation; every other key=value
goes to the runs, as for `jepa-mpc run`. An interrupted call goes on where it was; the minutes of a run that was
interrupted are not known, and it is left out of their picture.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from agent import api
from agent.evaluation.results import write_results
from agent.run.config.composing import compose_config, read_changes
from benchmarks.agent.learning_curve_plot import write_plot
from benchmarks.arguments import call, split_settings
from benchmarks.tables import table

FILE = "learning_curve.json"
PLOT = "learning_curve.png"
SCHEMA = 1
SHARED = (
    "collect.num_episodes",
    "training.num_steps",
    "dynamics_training.num_steps",
    "learning.num_steps",
    "learning.num_plans",
    "learning.refinement_steps",
)
"""Keys of which a run takes its share; those that are 0 stay so."""


def main() -> None:
    defaults = {"output": "???", "shares": [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1], "num_episodes": 100, "split": "validation"}
    settings, changes = split_settings(defaults)
    output = Path(settings.output)
    points = []
    for share in sorted(settings.shares):
        point = _point(changes, output / f"share_{share:g}", share=share, settings=settings)
        points.append(point)
        print(table(["share", "episodes", "frames", "minutes", "at the end", "once"], [_cells(it) for it in points]))
    findings = {"schema": SCHEMA, "changes": list(changes), "split": settings.split, "points": points}
    print(f"learning curve: {write_results(findings, output, file=FILE)}, {write_plot(findings, output / PLOT)}")


def _point(changes: tuple[str, ...], folder: Path, *, share: float, settings: Any) -> dict[str, Any]:
    """Makes the run of one share, if it is not there, and returns what it cost and how well it acts."""
    whole = compose_config(changes, section=None).values
    keys = dict(read_changes(changes)) | {"output": str(folder)}
    for key in SHARED:
        section, name = key.split(".")
        if number := whole[section][name]:
            keys[key] = max(round(share * number), 2)
    costs, is_new = folder / "costs.json", not folder.exists()
    keys |= {"evaluate.num_episodes": settings.num_episodes, "evaluate.split": settings.split}
    start = perf_counter()
    run = api.run(**keys)
    if not costs.is_file():
        seconds = perf_counter() - start if is_new else None
        costs.write_text(json.dumps({"seconds": seconds}))
    episodes = run.collection.episodes
    actor = run.results["agents"]["actor"]
    return {
        "share": share,
        "episodes": episodes.num_episodes,
        "frames": int((episodes.lengths + 1).sum()),
        "seconds": json.loads(costs.read_text())["seconds"],
        "success_at_end": actor["success_at_end"],
        "success_once": actor["success_once"],
    }


def _cells(point: Mapping[str, Any]) -> list[str]:
    rates = [point[key] for key in ("success_at_end", "success_once")]
    return [
        f"{point['share']:g}",
        f"{point['episodes']:,}",
        f"{point['frames']:,}",
        "-" if point["seconds"] is None else f"{point['seconds'] / 60:.1f}",
        *(f"{100 * it['rate']:.1f} % ({100 * it['low']:.1f} to {100 * it['high']:.1f})" for it in rates),
    ]


if __name__ == "__main__":
    call(main)
