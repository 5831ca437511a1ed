"""Sensors fail for a while: the agent's observations lack them."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from agent.actor import Actor
from agent.evaluation.scenarios.types import first_step, whole_steps
from envs.spec import TaskSpec
from envs.types import Policy, Readings, Task


class HiddenSensors:
    """For a while the agent's observations lack the named sensors; baselines, which fill in nothing, see everything.

    Args:
        spec: Of the task.
        sensors: Which ones.
        start: From when on, s after the start of the episode; in the first step nothing could be filled in.
        duration: For how long, s.
    """

    note: str | None = "baselines see what is hidden from the actor"

    def __init__(self, spec: TaskSpec, *, sensors: Sequence[str], start: float, duration: float) -> None:
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
        self._hidden = range(first, first + num_hidden)

    def stage(self, task: Task, policy: Policy, *, seed: int) -> tuple[Task, Policy]:  # noqa: ARG002
        """Returns the task as it is, and an actor that does not see everything."""
        if not isinstance(policy, Actor):
            return task, policy
        return task, _Blindfolded(policy, self._sensors, self._hidden)


class _Blindfolded:
    """An actor that does not get some sensors' readings at some steps."""

    def __init__(self, policy: Actor, sensors: frozenset[str], hidden: range) -> None:
        self._policy = policy
        self._sensors = sensors
        self._hidden = hidden
        self._step = 0

    def reset(self, goal: Readings, *, seed: int) -> None:
        self._step = 0
        self._policy.reset(goal, seed=seed)

    def act(self, observation: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        seen = observation
        if self._step in self._hidden:
            seen = {name: reading for name, reading in observation.items() if name not in self._sensors}
        self._step += 1
        return self._policy.act(seen)
