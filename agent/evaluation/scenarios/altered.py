"""The world, or what is seen of it, is not quite as it was learned."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from agent.evaluation.scenarios.types import ScenarioError, StagedTask, scenario_generator, unstaged
from envs.alteration import Alteration
from envs.spec import TaskSpec
from envs.types import Alterable, Frame, Policy, Readings, Task
from jepa_mpc.ranges import check_number


class Altered:
    """Alters the world from the first step on, goals included, and what the agent sees of it.

    Args:
        spec: Of the task.
        camera_shift: See `Alteration`, as the five that follow.
        camera_turn: Degrees.
        light: Factor.
        tint: In 0..1.
        mass: Factor.
        friction: Factor.
        image_noise: Standard deviation on every value of every pixel, in 0..255.
        position_noise: Standard deviation on every sensor that reads in metres, but not on goals, m.
    """

    latency = 0

    def __init__(
        self,
        spec: TaskSpec,
        *,
        camera_shift: float,
        camera_turn: float,
        light: float,
        tint: float,
        mass: float,
        friction: float,
        image_noise: float,
        position_noise: float,
    ) -> None:
        check_number("image_noise", image_noise, least=0)
        check_number("position_noise", position_noise, least=0)
        self.num_steps = spec.num_steps
        self._alteration = Alteration(
            camera_shift=camera_shift, camera_turn=camera_turn, light=light, tint=tint, mass=mass, friction=friction
        )
        self._noises = {
            name: image_noise if it.is_image else position_noise
            for name, it in spec.sensors.items()
            if (it.is_image or it.unit == "m") and name in spec.perceived
        }
        self.note: str | None = None

    def stage(self, task: Task, policy: Policy, *, seed: int) -> tuple[Task, Policy]:
        """Returns the altered task, and the policy as it is."""
        alterable = unstaged(task)
        if not isinstance(alterable, Alterable):
            raise ScenarioError(
                f"scenario=altered needs a task whose world can be altered, and {task.spec.task_id} is none"
            )
        alterable.alter(self._alteration)
        noises = {name: it for name, it in self._noises.items() if it > 0}
        return (_NoisyTask(task, noises, scenario_generator(seed)) if noises else task), policy


class _NoisyTask(StagedTask):
    """Adds noise to what is read, and none to goals."""

    def __init__(self, task: Task, noises: Mapping[str, float], generator: Generator) -> None:
        super().__init__(task)
        self._noises, self._generator = noises, generator

    def reset(self, seed: int) -> Frame:
        """Starts an episode."""
        return self._noisy(super().reset(seed))

    def step(self, action: NDArray[Any], /) -> Frame:
        """Executes one action."""
        return self._noisy(super().step(action))

    def _noisy(self, frame: Frame) -> Frame:
        there = [name for name in self._noises if name in frame.readings]  # who is no agent needs no camera
        readings: Readings = {**frame.readings, **{name: self._read(name, frame.readings[name]) for name in there}}
        return Frame(readings, frame.goal, frame.verdict, frame.num_redrawn)

    def _read(self, name: str, reading: NDArray[Any]) -> NDArray[Any]:
        noisy = reading + self._noises[name] * self._generator.standard_normal(reading.shape)
        if reading.dtype == np.uint8:
            noisy = noisy.round().clip(0, 255)
        return noisy.astype(reading.dtype)
