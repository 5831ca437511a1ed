"""How long a control step takes in each mode: `python -m benchmarks.agent.control_step run=runs/demo`.

In its own process, with one torch thread, in episodes of the validation split. At most control steps the agent goes on
with what it decided at the last one; those at which it decides are told apart. Modes that need a policy are left out
where the run has none. With cameras, what of a step is encoding, and what it takes to draw a frame, which is no part of
it, are told apart. Further arguments change the run's config, as on the command line of jepa-mpc.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from agent import load_agent
from agent.actor import Actor
from agent.configurator.types import HYBRID, PLANNING, REACTIVE
from agent.evaluation.seeds import SPLIT_SIZE, episode_seeds
from agent.evaluation.statistics import percentiles
from agent.run.config.composing import Config, compose_config
from agent.run.config.saved import read_config
from agent.run.stages.vision import configured_task
from benchmarks.agent.finished_runs import configured_by
from benchmarks.arguments import call, split_settings
from benchmarks.tables import table
from envs.arm.task import ArmTask
from envs.types import Task
from world_model.types import Observation

WARM_UP_EPISODES = 2


def main() -> None:
    settings, changes = split_settings({"run": "???", "num_steps": 2_000})
    run = Path(settings.run)
    torch.set_num_threads(1)
    config = compose_config(changes, base=read_config(run))
    task = configured_task(config)
    rows = []
    encoding: list[float] = []
    for name, overrides in modes(config).items():
        agent = load_agent(run, [*changes, *overrides])
        encodings = time_encoding(agent)
        deciding, others = latencies(agent, task, num_steps=settings.num_steps, encodings=encodings)
        encoding += encodings
        for which, times in (("decides", deciding), ("all", deciding + others)):
            shown = (f"{value:.2f}" for value in percentiles(times).values())
            rows.append([name, which, f"{len(times):,}", *shown])
    rows.append(
        ["of it", "encoding", f"{len(encoding):,}", *(f"{value:.2f}" for value in percentiles(encoding).values())]
    )
    if config.values.observation.cameras:
        assert isinstance(task, ArmTask)
        drawing = [timed(task.env.frames)[0] for _ in range(settings.num_steps)]
        rows.append(["beside", "drawing", f"{len(drawing):,}", *(f"{it:.2f}" for it in percentiles(drawing).values())])
    print(f"{config.values.env.env_id}, {run}: a control step, ms, one torch thread")
    print(table(["mode", "steps", "n", "p50", "p90", "p99"], rows))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Returns how long something takes, ms, and what comes of it."""
    start = perf_counter()
    result = work()
    return 1e3 * (perf_counter() - start), result


def time_encoding(agent: Actor) -> list[float]:
    """Returns a list that the time of every later encoding by this agent is added to, ms."""
    times: list[float] = []
    encode = agent.world_model.encode

    def encode_in_time(observation: Observation) -> Tensor:
        milliseconds, embedding = timed(lambda: encode(observation))
        times.append(milliseconds)
        return embedding

    agent.world_model.encode = encode_in_time  # type: ignore[method-assign]
    return times


def modes(config: Config) -> dict[str, list[str]]:
    """Returns each mode that the run can act in, and what chooses it; its own configurator's choice comes last."""
    names = [PLANNING] if config.values.policy is None else [PLANNING, HYBRID, REACTIVE]
    fixed = configured_by(config, "fixed")
    chosen = {name: [f"actor.mode={name}", *fixed] for name in names}
    if config.choices["configurator"] != "fixed":
        chosen[f"configurator={config.choices['configurator']}"] = []
    return chosen


def latencies(agent: Actor, task: Task, *, num_steps: int, encodings: list[float]) -> tuple[list[float], list[float]]:
    """Returns the time of so many control steps at which the agent decides, and of the others among them, ms.

    The times in `encodings` are those of the same steps afterwards: the warm-up is taken out.
    """
    deciding: list[float] = []
    others: list[float] = []
    for index, seed in enumerate(episode_seeds("validation", SPLIT_SIZE)):
        if index == WARM_UP_EPISODES:
            encodings.clear()
        frame = task.reset(seed)
        agent.reset(frame.goal, seed=seed)
        for _ in range(task.spec.num_steps):
            num_choices = len(agent.state.choices)
            latency, action = timed(partial(agent.act, frame.readings))
            if index >= WARM_UP_EPISODES:
                (deciding if len(agent.state.choices) > num_choices else others).append(latency)
            frame = task.step(action)
            if frame.verdict.terminated or frame.verdict.truncated:
                break
        if len(deciding) >= num_steps:
            break
    return deciding, others


if __name__ == "__main__":
    call(main)
