"""A late world: success with and without knowing that it is late, and whether recordings tell how late it is.

`python -m benchmarks.agent.latency run=runs/push` lets the run's agent, as it is, act in the same episodes of worlds
that are 0, 1, 2, 3 and 4 control steps late, once told so and once not. Then it records the run's exploration by
robots of which each is 0 to 4 control steps late, a folder each, and asks of each recording how late its robot was. An
agent that imagines less far than its world is late imagines so far.

All settings: run=DIR, output=DIR (RUN/benchmarks), num_episodes=300, num_workers=2, split=validation,
num_recordings=20, episodes_per_recording=10. An interrupted call goes on where it was.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from omegaconf import DictConfig

from agent import api
from agent.evaluation.results import write_results
from agent.evaluation.scenarios.latency import LateTask
from agent.run.config.building import build
from agent.run.stages.lock import locked
from agent.run.stages.vision import make_vision, task_factory
from benchmarks.agent.finished_runs import HEADER, SETTINGS, FinishedRun, Variant, cells, measures
from benchmarks.arguments import call, read_settings
from benchmarks.tables import table
from envs.episodes.collection import collect
from envs.types import Task, TaskFactory
from envs.vision import Vision

FILE = "late_world.json"
SCHEMA = 1
LATENCIES = (0, 1, 2, 3, 4)
"""Control steps."""

FIRST_COLLECTION = 900
"""Seed of the first recording."""


@dataclass(frozen=True)
class LateTasks:
    """Makes tasks of a late robot, in whichever process.

    Attributes:
        make_task: Makes those of a robot that is not.
        latency: Control steps from an action to its effect.
    """

    make_task: TaskFactory
    latency: int

    def __call__(self, *, vision: Vision | None, film_size: int | None) -> Task:
        """Returns one."""
        return LateTask(self.make_task(vision=vision, film_size=film_size), latency=self.latency)


def main() -> None:
    settings = read_settings({**SETTINGS, "split": "validation", "num_recordings": 20, "episodes_per_recording": 10})
    run = FinishedRun.of(settings)
    with locked(run.output):
        findings = {
            "schema": SCHEMA,
            **run.describe(split=settings.split),
            "late_worlds": act_late(run, settings),
            "recordings": tell_latency(run, settings),
        }
        print(f"late worlds: {write_results(findings, run.output, file=FILE)}")


def act_late(run: FinishedRun, settings: DictConfig) -> dict[str, dict[str, Any]]:
    """Lets the agent act in late worlds, and prints how it does."""
    variants = []
    horizon, repeat = run.config.values.configurator.horizon, run.config.values.world_model.action_repeat
    for latency in LATENCIES:
        late = (
            "scenario=latency",
            f"scenario.num_steps={latency}",
            f"configurator.horizon={max(horizon, -(-latency // repeat))}",
            "evaluate.oracle=0",
            "evaluate.diagnose=0",
        )
        variants.append(Variant(f"{latency} steps late, told", late, settings.num_episodes))
        if latency:
            variants.append(
                Variant(f"{latency} steps late, not told", (*late, "actor.latency=0"), settings.num_episodes)
            )
    rows = {name: measures(episodes) for name, episodes in run.evaluate(variants, split=settings.split).items()}
    print(table(["world", *HEADER], [[name, *cells(row)] for name, row in rows.items()]))
    return rows


def tell_latency(run: FinishedRun, settings: DictConfig) -> list[dict[str, int]]:
    """Records late robots, and prints how often it is told right how late each of them is."""
    rng = np.random.default_rng(0)
    told = []
    for index in range(settings.num_recordings):
        latency = int(rng.choice(LATENCIES))
        folder = run.output / f"late_robot_{index}"
        collect(
            make_task=LateTasks(task_factory(run.config), latency),
            vision=make_vision(run.config),
            make_policy=build(run.config.values.exploration),
            policy_name=str(run.config.choices["exploration"]),
            policy_values=run.config.named("exploration")["values"],
            seed=FIRST_COLLECTION + index,
            num_episodes=settings.episodes_per_recording,
            num_steps=run.config.values.collect.num_steps,
            num_workers=settings.num_workers,
            output=folder,
        )
        found = api.latency(run=run.folder, data=folder, output=run.output / f"latency_{index}")
        told.append({"latency": latency, "told": found.latency, "num_agreeing": found.results["num_agreeing"]})
    right = sum(it["latency"] == it["told"] for it in told)
    print(f"told right: {right} of {len(told)} recordings of {settings.episodes_per_recording} episodes")
    return told


if __name__ == "__main__":
    call(main)
