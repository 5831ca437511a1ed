"""Sensors fail for a while: the agent's observations lack them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.actor import Actor
from agent.evaluation.scenarios.types import first_step, whole_steps
from envs.spec import TaskSpec
from envs.types import Policy, Readings, Task
from jepa_mpc.ranges import check_number


class HiddenSensors:
    """For a while the agent's observations lack the named sensors; baselines, which fill in nothing, see everything.

    It happens once in an episode: at a time, or as soon from then on as the effector is near something, as a block that
    it is about to push.

    Args:
        spec: Of the task.
        sensors: Which ones.
        start: From when on, s after the start of the episode; in the first step nothing could be filled in.
        duration: For how long, s.
        near: Sensor of a place that the effector must be near to when it begins, or None where the time alone decides.
        near_distance: How near, m.
    """

    note: str | None = "baselines see what is hidden from the actor"
    latency = 0

    def __init__(
        self,
        spec: TaskSpec,
        *,
        sensors: Sequence[str],
        start: float,
        duration: float,
        near: str | None,
        near_distance: float,
    ) -> None:
        if unseen := sorted(set(sensors) - set(spec.perceived)):
            raise ValueError(f"the agent sees {sorted(spec.perceived)} of {spec.task_id}, so {unseen} cannot be hidden")
        first = first_step(start, spec)
        if first < 1:
            raise ValueError(
                f"start must be at least one control step of {spec.control_dt} s, since an agent must see everything "
                f"once, got {start} s"
            )
        num_hidden = whole_steps(duration, spec)
        if num_hidden < 1:
            raise ValueError(f"duration must be at least one control step of {spec.control_dt} s, got {duration} s")
        self.num_steps = spec.num_steps
        self._sensors = frozenset(sensors)
        self._first = first
        self._num_hidden = num_hidden
        self._begins = _whenever if near is None else _Approach(spec, near=near, distance=near_distance)

    def stage(self, task: Task, policy: Policy, *, seed: int) -> tuple[Task, Policy]:  # noqa: ARG002
        """Returns the task as it is, and an actor that does not see everything."""
        if not isinstance(policy, Actor):
            return task, policy
        return task, _Blindfolded(
            policy, self._sensors, first=self._first, num_hidden=self._num_hidden, begins=self._begins
        )


def _whenever(observation: Readings) -> bool:  # noqa: ARG001 - the time alone decides
    return True


class _Approach:
    """Says whether the effector is near something."""

    def __init__(self, spec: TaskSpec, *, near: str, distance: float) -> None:
        of_effector = None if spec.effector is None else spec.sensors[spec.effector.sensor]
        places = sorted(name for name, sensor in spec.sensors.items() if sensor == of_effector)
        if spec.effector is None or near not in places:
            raise ValueError(
                f"near must be null, or name a place of {spec.task_id} that its effector comes near to, one of "
                f"{places}, got {near!r}"
            )
        check_number("near_distance", distance, above=0)
        self._effector, self._near, self._distance = spec.effector.sensor, near, distance

    def __call__(self, observation: Readings) -> bool:
        return float(np.linalg.norm(observation[self._effector] - observation[self._near])) <= self._distance


class _Blindfolded:
    """An actor that does not get some sensors' readings at some steps."""

    def __init__(
        self,
        policy: Actor,
        sensors: frozenset[str],
        *,
        first: int,
        num_hidden: int,
        begins: Callable[[Readings], bool],
    ) -> None:
        self._policy = policy
        self._sensors = sensors
        self._first = first
        self._num_hidden = num_hidden
        self._begins = begins
        self._step = 0
        self._hidden = range(0)

    def reset(self, goal: Readings, *, seed: int) -> None:
        self._step = 0
        self._hidden = range(0)
        self._policy.reset(goal, seed=seed)

    def act(self, observation: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        seen = observation
        if not self._hidden and self._step >= self._first and self._begins(observation):
            self._hidden = range(self._step, self._step + self._num_hidden)
        if self._step in self._hidden:
            seen = {name: reading for name, reading in observation.items() if name not in self._sensors}
        self._step += 1
        return self._policy.act(seen)
