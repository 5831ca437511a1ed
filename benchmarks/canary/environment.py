"""What is known of our robots before anything is learned."""

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from agent.run.config.composing import compose_config
from agent.run.stages.vision import configured_task
from benchmarks.canary.check import Check
from envs.types import HasState, Readings, Task

ENVS = ("reach", "push")
NUM_STEPS = 15


def checks(seed: int) -> list[Check]:
    """Returns what is known of each environment, in episodes of that seed."""
    return [check for env in ENVS for check in _of(env, seed)]


def _of(env: str, seed: int) -> list[Check]:
    # Measured under seeds 0 to 3: 0, 1.65 to 2.09, 0, and 0.994 to 1.006.
    return [
        Check(f"{env}: a seed repeats its episode to the last bit", partial(repeated, env, seed, seed), most=0),
        Check(f"{env}: another seed is another episode", partial(repeated, env, seed, seed + 1), least=0.01),
        Check(f"{env}: what is restored goes on as it did to the last bit", partial(restored, env, seed), most=0),
        Check(f"{env}: the tip goes the way that it is told", partial(obedience, env, seed), least=0.95, most=1.05),
    ]


def repeated(env: str, first: int, second: int) -> float:
    """Returns by how much the readings of two episodes differ at most, under the same actions in two worlds."""
    episodes = [_readings_of(make_task(env), seed, first) for seed in (first, second)]
    return _difference(*episodes)


def restored(env: str, seed: int) -> float:
    """Returns by how much what follows a restored state differs at most from what followed it."""
    task = make_task(env)
    assert isinstance(task, HasState)
    _readings_of(task, seed, seed)
    state, futures = task.save(), []
    for _ in range(2):
        task.restore(state)
        futures.append([task.step(action).readings for action in _actions(task, seed + 1)])
    return _difference(*futures)


def obedience(env: str, seed: int) -> float:
    """Returns how far the tip goes along a command, as a share of what was commanded, to the middle of its room."""
    task = make_task(env)
    effector = task.spec.effector
    assert effector is not None
    tip = task.reset(seed).readings[effector.sensor].astype(np.float64)
    middle = np.mean([effector.workspace.low, effector.workspace.high], axis=0)
    way = (middle - tip)[: task.spec.action_dim]
    direction = way / np.linalg.norm(way)
    for _ in range(NUM_STEPS):
        action = (0.2 * direction).astype(np.float32)
        last = task.step(action).readings[effector.sensor]
    commanded = NUM_STEPS * 0.2 * effector.max_displacement
    return float((last - tip)[: task.spec.action_dim] @ direction / commanded)


def make_task(env: str) -> Task:
    """Returns a new world of an environment, told by numbers."""
    return configured_task(compose_config([f"env={env}"]))


def _readings_of(task: Task, seed: int, action_seed: int) -> list[Readings]:
    frame = task.reset(seed)
    return [frame.readings, *(task.step(action).readings for action in _actions(task, action_seed))]


def _actions(task: Task, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    return rng.uniform(-1, 1, (NUM_STEPS, task.spec.action_dim)).astype(np.float32)


def _difference(first: Sequence[Readings], second: Sequence[Readings]) -> float:
    return max(
        float(np.abs(one[name].astype(np.float64) - other[name]).max())
        for one, other in zip(first, second, strict=True)
        for name in one
    )
