"""Touch targets in order, then do the task."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from agent.actor import Actor
from agent.evaluation.scenarios.types import ScenarioError, StagedTask, scenario_generator
from envs.spec import TaskSpec
from envs.types import Frame, Policy, Readings, Task
from jepa_mpc.ranges import check_count, check_number

MAX_DRAWS = 10_000
"""Points that are tried for the targets of one episode."""


class Tour:
    """The effector touches targets in their order, and then the task's own goal counts.

    Targets are uniform in the workspace, apart from each other and from where the effector starts, and clear of a thing
    that is to be brought to a goal where that starts, so that no touch demands a push. An agent gets them as a list of
    goals, the task's own last; a baseline, which knows but one goal, gets the task's own. Until all targets were
    touched the task is not solved.

    Args:
        spec: Of the task.
        num_targets: How many, at least 1.
        touch_radius: A target is touched when the effector is this near at a control step, m.
        min_spacing: Between two targets, and between the effector's start and a target, m, more than twice
            `touch_radius`.
        block_clearance: Between such a thing at the start and a target, in the plane, m.
        steps_per_target: Control steps by which each target makes the episode longer.
    """

    note: str | None = "baselines get a tour's last goal alone, not the targets that success asks for"
    latency = 0

    def __init__(
        self,
        spec: TaskSpec,
        *,
        num_targets: int,
        touch_radius: float,
        min_spacing: float,
        block_clearance: float,
        steps_per_target: int,
    ) -> None:
        check_count("num_targets", num_targets, least=1)
        check_count("steps_per_target", steps_per_target, least=0)
        if spec.effector is None:
            raise ValueError(f"a tour asks for places of an effector, and {spec.task_id} has none")
        if spec.effector.sensor not in spec.perceived:
            raise ValueError(
                f"a tour asks for places of the {spec.effector.sensor}, so the agent must feel where it is, as with "
                f"observation=pixels+proprio, and it sees {sorted(spec.perceived)}"
            )
        check_number("touch_radius", touch_radius, above=0)
        check_number("min_spacing", min_spacing, above=2 * touch_radius)
        check_number("block_clearance", block_clearance, least=0)
        self.num_steps = spec.num_steps + num_targets * steps_per_target
        self._sensor = spec.effector.sensor
        self._workspace = spec.effector.workspace
        self._movable = [name for name in spec.goal if name != self._sensor and spec.sensors[name].unit == "m"]
        self._num_targets = num_targets
        self._touch_radius = touch_radius
        self._min_spacing = min_spacing
        self._block_clearance = block_clearance

    def stage(self, task: Task, policy: Policy, *, seed: int) -> tuple[Task, Policy]:
        """Returns a task that watches for touches, and a policy that knows the targets."""
        generator = scenario_generator(seed)
        tour = _TourTask(
            task,
            lambda start: self._draw(start, generator),
            sensor=self._sensor,
            touch_radius=self._touch_radius,
        )
        return tour, _Guided(policy, tour)

    def _draw(self, start: Readings, generator: Generator) -> NDArray[np.float32]:
        """Returns targets `[num_targets, num_coordinates]` for an episode that starts with these readings."""
        low, high = (np.array(corner, np.float32) for corner in (self._workspace.low, self._workspace.high))
        taken = [start[self._sensor]]
        for point in generator.uniform(low, high, (MAX_DRAWS, len(low))).astype(np.float32).clip(low, high):
            is_clear = all(np.linalg.norm(point[:2] - start[it][:2]) >= self._block_clearance for it in self._movable)
            if is_clear and np.linalg.norm(np.subtract(taken, point), axis=1).min() >= self._min_spacing:
                taken.append(point)
            if len(taken) > self._num_targets:
                return np.array(taken[1:])
        raise ScenarioError(
            f"num_targets={self._num_targets} do not fit into the workspace with min_spacing={self._min_spacing} and "
            f"block_clearance={self._block_clearance}, in {MAX_DRAWS:,} draws of places: choose less of one of them"
        )


class _TourTask(StagedTask):
    """The task is solved only after every target was touched, one after the other."""

    def __init__(
        self, task: Task, draw: Callable[[Readings], NDArray[np.float32]], *, sensor: str, touch_radius: float
    ) -> None:
        super().__init__(task)
        self._draw = draw
        self.sensor = sensor
        self._touch_radius = touch_radius
        self._num_touched = 0
        self.targets = np.zeros((0, 3), np.float32)

    def reset(self, seed: int) -> Frame:
        frame = super().reset(seed)
        self.targets = self._draw(frame.readings)
        self._num_touched = 0
        return self._judged(frame)

    def step(self, action: NDArray[Any], /) -> Frame:
        return self._judged(super().step(action))

    def _judged(self, frame: Frame) -> Frame:
        """Notices a touch, and withholds success until all targets were touched."""
        left = self.targets[self._num_touched :]
        if len(left) and np.linalg.norm(frame.readings[self.sensor] - left[0]) <= self._touch_radius:
            self._num_touched += 1
        success = frame.verdict.success and self._num_touched == len(self.targets)
        return replace(frame, verdict=replace(frame.verdict, success=success))


class _Guided:
    """A policy that is told the targets before the goal, if it is one that takes a list of goals."""

    def __init__(self, policy: Policy, tour: _TourTask) -> None:
        self._policy = policy
        self._tour = tour

    def reset(self, goal: Readings, *, seed: int) -> None:
        if isinstance(self._policy, Actor):
            self._policy.reset([*({self._tour.sensor: target} for target in self._tour.targets), goal], seed=seed)
        else:
            self._policy.reset(goal, seed=seed)

    def act(self, observation: Readings) -> NDArray[Any]:
        return self._policy.act(observation)
