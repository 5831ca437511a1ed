"""Is JEPA worth it? Prediction, reconstruction and contrast: the same encoder, predictor, data and time of training.

    python -m benchmarks.world_model.representations output=DIR seconds=240 num_episodes=200 env=reach

Episodes are collected into OUTPUT/data, unless `data` names some. Each of `WAYS`, a yaml of configs/regularizer, is
trained for as many steps as fit into the seconds on this machine: steps of all ways are timed in turn, so that what
else the machine does slows all alike. Validations come on top, as many for each; the alarm is off. Prints frames/s in
training, R² of linear probes on held-out episodes, the seconds of training after which that of the tip was reached
and stayed, and success; writes representations.json. The same command goes on where it was interrupted.

What the ways share (encoder, learning rate, inverse dynamics) was tuned for SIGReg; the weights of the other two were
chosen from a handful of short trainings. `training.inverse_dynamics_weight=0` leaves each to its own objective.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from agent.evaluation.results import percent
from agent.run.config.building import build
from agent.run.config.composing import Config
from benchmarks.arguments import call, split_settings
from benchmarks.tables import table
from benchmarks.world_model.encoders import composed, make_task
from benchmarks.world_model.regularizers import SILENCED, quiet
from envs.episodes.episode import EpisodeDataset, open_dataset
from world_model.training.fit import threads, train_step
from world_model.training.settings import TrainingSettings
from world_model.training.task import WorldModelTask

WAYS = ("sigreg", "reconstruction", "infonce")
SENSOR = "tip"
NUM_TIMED = 20
NUM_WARM_UP = 5
NUM_VALIDATIONS = 20
PLAN_FILE, FILE = "plan.json", "representations.json"


@dataclass(frozen=True)
class Comparison:
    """What is compared, and where.

    Attributes:
        output: Folder of all that is written.
        data: Folder of the episodes.
        overrides: As on the command line of jepa-mpc, the same for all ways.
        seconds: Of training, each.
        num_episodes: That are evaluated.
    """

    output: Path
    data: Path
    overrides: tuple[str, ...]
    seconds: float
    num_episodes: int

    def config(self, way: str) -> Config:
        """Returns the config of a training."""
        return composed([*self.overrides, f"data={self.data}", f"regularizer={way}"])

    @property
    def identity(self) -> dict[str, Any]:
        """What finished rows depend on."""
        return {
            "data": open_dataset(self.data).fingerprint,
            "overrides": list(self.overrides),
            "seconds": self.seconds,
            "num_episodes": self.num_episodes,
        }


def main() -> None:
    settings, changes = split_settings(
        {"output": "???", "seconds": 240, "num_episodes": 200, "data": None, "level": 0.99}
    )
    output, overrides = Path(settings.output), ("observation=pixels", *changes)
    if settings.data is None:
        jepa_mpc("collect", *overrides, f"output={output / 'data'}")
    comparison = Comparison(
        output=output,
        data=output / "data" if settings.data is None else Path(settings.data),
        overrides=overrides,
        seconds=settings.seconds,
        num_episodes=settings.num_episodes,
    )
    plan = make_plan(comparison)
    file = comparison.output / FILE
    rows: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    for way in WAYS:
        if way not in rows:
            rows[way] = measure(comparison, way, step_seconds=plan[way])
            file.write_text(json.dumps(rows, indent=2))
            print(f"{way} is trained and evaluated", flush=True)
    print(show(rows, level=settings.level))


def make_plan(comparison: Comparison) -> dict[str, float]:
    """Returns the seconds of a step of each way: those of an earlier call, whose trainings go on only so."""
    path, identity = comparison.output / PLAN_FILE, comparison.identity
    if path.is_file():
        saved = json.loads(path.read_text())
        if saved["identity"] != identity:
            raise SystemExit(f"{path} holds another comparison, {saved['identity']}, this one is {identity}")
    else:
        dataset = open_dataset(comparison.data)
        saved = {
            "identity": identity,
            "step_seconds": time_steps({way: comparison.config(way) for way in WAYS}, dataset),
        }
        comparison.output.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(saved, indent=2))
    step_seconds: dict[str, float] = saved["step_seconds"]
    return step_seconds


def time_steps(configs: Mapping[str, Config], dataset: EpisodeDataset) -> dict[str, float]:
    """Returns the median seconds of a training step of each config; they take turns."""
    steps = {
        name: stepper(make_task(config, dataset), build(config.values.training)) for name, config in configs.items()
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step in range(1, NUM_WARM_UP + NUM_TIMED + 1):
        for name, take in steps.items():
            start = perf_counter()
            take(step)
            times[name].append(perf_counter() - start)
    return {name: float(np.median(of_config[NUM_WARM_UP:])) for name, of_config in times.items()}


def stepper(task: WorldModelTask, settings: TrainingSettings) -> Callable[[int], None]:
    """Returns what does a training step of that number."""
    parameters = [parameter for parameter in task.module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, fused=True)

    def take(step: int) -> None:
        with threads(settings.num_threads):
            train_step(task, optimizer, parameters, settings, step)

    return take


def measure(comparison: Comparison, way: str, *, step_seconds: float) -> dict[str, Any]:
    """Trains and evaluates one way."""
    num_steps = max(round(comparison.seconds / step_seconds), 1)
    run = comparison.output / way
    is_fresh = not (run / "training").exists()
    start = perf_counter()
    jepa_mpc(
        "train",
        *comparison.overrides,
        *SILENCED,
        f"data={comparison.data}",
        f"regularizer={way}",
        f"training.num_steps={num_steps}",
        f"training.validation_every={max(num_steps // NUM_VALIDATIONS, 1)}",
        f"output={run}",
    )
    seconds = perf_counter() - start
    jepa_mpc(
        "evaluate",
        f"run={run}",
        f"num_episodes={comparison.num_episodes}",
        "split=evaluation",
        "videos=0",
        f"output={run / 'evaluate'}",
    )
    results = json.loads((run / "evaluate" / "results.json").read_text())["agents"]["actor"]
    training = comparison.config(way).values
    frames = training.training.batch_size * (training.world_model.context_length + training.training.rollout_length)
    log = [json.loads(line) for line in (run / "training" / "log.jsonl").read_text().splitlines()]
    return {
        "num_steps": num_steps,
        "frames_per_second": frames / step_seconds,
        "seconds_of_command": seconds if is_fresh else None,  # with validations, and the costs that are fitted after
        "probes": probe_curves(log, step_seconds=step_seconds),
        "success_at_end": results["success_at_end"],
        "success_once": results["success_once"],
    }


def jepa_mpc(*command: str) -> None:
    if code := quiet(*command):
        raise SystemExit(code)


def probe_curves(log: Sequence[Mapping[str, float]], *, step_seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Returns sensor to (seconds of training, R² of its probe) at each validation."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for line in log:
        for key, value in line.items():
            if key.startswith("validation/probe/"):
                curves.setdefault(key.rpartition("/")[2], []).append((line["step"] * step_seconds, value))
    return curves


def seconds_to(curve: Sequence[tuple[float, float]], level: float) -> float | None:
    """Returns from when on a curve stays at a level or above; None where it ends below."""
    reached = None
    for seconds, value in curve:
        reached = None if value < level else seconds if reached is None else reached
    return reached


def show(rows: Mapping[str, Any], *, level: float) -> str:
    sensors = sorted({sensor for row in rows.values() for sensor in row["probes"]})
    header = ["", "frames/s", "steps", *(f"R² {sensor}" for sensor in sensors), f"s to {level:g}", "at the end", "once"]
    cells = []
    for way, row in rows.items():
        reached = seconds_to(row["probes"].get(SENSOR, []), level)
        cells.append(
            [
                way,
                f"{row['frames_per_second']:,.0f}",
                f"{row['num_steps']:,}",
                *(f"{row['probes'][sensor][-1][1]:.4f}" for sensor in sensors),
                "never" if reached is None else f"{reached:.0f}",
                *(percent(row[key]) for key in ("success_at_end", "success_once")),
            ]
        )
    return table(header, cells)


if __name__ == "__main__":
    call(main)
