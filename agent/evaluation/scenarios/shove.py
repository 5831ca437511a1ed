"""Someone shoves the block."""

import math
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from agent.evaluation.scenarios.types import ScenarioError, StagedTask, first_step, scenario_generator, unstaged
from envs.spec import TaskSpec
from envs.types import Disturbable, Frame, Policy, Task
from jepa_mpc.ranges import check_number

MAX_DRAWS = 100
"""Directions that are tried at one control step."""


class Shove:
    """Once in an episode what is to be brought to a goal is displaced, between two control steps and in no time.

    The direction is uniform among those in which there is room: see `Disturbable`. Where 100 draws find none, as when a
    finger holds a block in a corner of its area, the shove comes at the next control step at which they do.

    Args:
        spec: Of the task.
        start: When, s after the start of the episode.
        distance: How far, m.
    """

    note: str | None = None
    latency = 0

    def __init__(self, spec: TaskSpec, *, start: float, distance: float) -> None:
        check_number("distance", distance, above=0)
        self.num_steps = spec.num_steps
        self._start = start
        self._distance = distance

    def stage(self, task: Task, policy: Policy, *, seed: int) -> tuple[Task, Policy]:
        """Returns a task in which it happens, and the policy as it is."""
        disturbable = unstaged(task)
        if not isinstance(disturbable, Disturbable):
            raise ScenarioError(
                f"a shove needs something that can be displaced, and {task.spec.task_id} has nothing: choose another "
                "scenario, as scenario=undisturbed"
            )
        start, generator = first_step(self._start, task.spec), scenario_generator(seed)
        return _ShovedTask(task, disturbable, start=start, distance=self._distance, generator=generator), policy


class _ShovedTask(StagedTask):
    """Displaces it before it executes the first action from `start` on at which there is room."""

    def __init__(
        self, task: Task, disturbable: Disturbable, *, start: int, distance: float, generator: Generator
    ) -> None:
        super().__init__(task)
        self._disturbable = disturbable
        self._start = start
        self._distance = distance
        self._generator = generator
        self._step = 0
        self._done = False

    def step(self, action: NDArray[Any], /) -> Frame:
        if self._step >= self._start and not self._done:
            self._done = displaced_anywhere(self._disturbable, self._distance, self._generator) is not None
        self._step += 1
        return super().step(action)


def displaced_anywhere(task: Disturbable, distance: float, generator: Generator) -> NDArray[np.float64] | None:
    """Displaces what can be displaced, by `distance`, m, in the first of 100 random directions in which there is room.

    Returns:
        `[2]`, how it was displaced, m; None where no draw found room.
    """
    angles = generator.uniform(-math.pi, math.pi, MAX_DRAWS)
    ways = (distance * np.array([math.cos(angle), math.sin(angle)]) for angle in angles)
    return next((way for way in ways if task.displace(way)), None)
