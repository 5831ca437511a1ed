"""What a scenario is, and what all of them share."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from envs.spec import TaskSpec
from envs.types import Frame, Policy, Task
from jepa_mpc.errors import UserError


class ScenarioError(UserError):
    """A scenario that cannot take place; the message is one sentence for whoever chose it."""


class Scenario(Protocol):
    """Comes between an agent and its task.

    It may look into the simulator; the agent meets its consequences, through sensors and goals, and nothing else.

    Attributes:
        num_steps: Control steps of an episode.
        note: What a reader of its results must know, or None.
        latency: Control steps after which an action takes effect.
    """

    num_steps: int
    latency: int
    note: str | None

    def stage(self, task: Task, policy: Policy, *, seed: int) -> tuple[Task, Policy]:
        """Returns task and policy as they meet in one episode.

        Args:
            task: Where the episode takes place.
            policy: Who acts.
            seed: Of the episode; all that the scenario draws comes from it.

        Raises:
            ScenarioError: It cannot take place there; at the latest, the task raises this when it is reset.
        """
        ...


ScenarioMaker = Callable[[TaskSpec], Scenario]
"""Makes the scenario for a task; it is pickled, so it is importable, or a partial of something importable."""


class StagedTask:
    """A task in which nothing happens yet: scenarios override what they change.

    Args:
        task: What goes on beneath.
    """

    def __init__(self, task: Task) -> None:
        self._task = task

    @property
    def spec(self) -> TaskSpec:
        """What others may know of it."""
        return self._task.spec

    @property
    def criterion(self) -> str:
        """Says, for people, when a goal counts as reached."""
        return self._task.criterion

    def reset(self, seed: int) -> Frame:
        """Starts an episode."""
        return self._task.reset(seed)

    def step(self, action: NDArray[Any], /) -> Frame:
        """Executes one action."""
        return self._task.step(action)

    def close(self) -> None:
        """Frees what it holds, if it holds anything."""
        self._task.close()


def unstaged(task: Task) -> Task:
    """Returns the task beneath all that is staged: what it can do, it can do whatever else happens."""
    while isinstance(task, StagedTask):
        task = task._task
    return task


def scenario_generator(seed: int) -> Generator:
    """Returns what a scenario draws from in the episode of that seed: neither the task's nor the policy's."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1,)))


def whole_steps(seconds: float, spec: TaskSpec) -> int:
    """Returns how many control steps have passed after so many seconds; one that ends within a microsecond has."""
    return math.floor((seconds + 1e-6) / spec.control_dt)


def first_step(start: float, spec: TaskSpec) -> int:
    """Returns the control step that goes on `start` seconds after the reset.

    Raises:
        ValueError: The episode is over by then.
    """
    step = whole_steps(start, spec)
    if not 0 <= step < spec.num_steps:
        end = spec.num_steps * spec.control_dt
        raise ValueError(f"start must be at least 0 and before the end of the episode at {end:g} s, got {start} s")
    return step
