"""Actions take effect late."""

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.actions import still_action
from agent.evaluation.scenarios.types import StagedTask
from agent.latency import control_steps
from envs.spec import TaskSpec
from envs.types import Frame, Policy, Task
from jepa_mpc.ranges import check_count


class Latency:
    """What is sent takes effect some control steps later; until the first of it does, the robot stays still.

    Args:
        spec: Of the task.
        num_steps: How many control steps later.
    """

    def __init__(self, spec: TaskSpec, *, num_steps: int) -> None:
        check_count("num_steps", num_steps, least=0)
        if num_steps >= spec.num_steps:
            raise ValueError(
                f"num_steps must be below the {spec.num_steps} control steps of an episode, else nothing that is done "
                f"takes effect, got {num_steps}"
            )
        self.num_steps = spec.num_steps
        self.latency = num_steps
        self.note = (
            f"actions take effect {control_steps(num_steps)} late, those of baselines too" if num_steps else None
        )

    def stage(self, task: Task, policy: Policy, *, seed: int) -> tuple[Task, Policy]:  # noqa: ARG002
        """Returns a task that is late, and the policy as it is."""
        return LateTask(task, latency=self.latency), policy


class LateTask(StagedTask):
    """A task in which actions take effect some control steps after they were sent.

    Args:
        task: What goes on beneath.
        latency: How many control steps later, at least 0.
    """

    def __init__(self, task: Task, *, latency: int) -> None:
        super().__init__(task)
        self._latency = latency
        self._under_way: deque[NDArray[Any]] = deque()

    def reset(self, seed: int) -> Frame:
        """Starts an episode, in which nothing is under way yet."""
        still = still_action(self.spec.actions, None).astype(np.float32)
        self._under_way = deque([still] * self._latency)
        return super().reset(seed)

    def step(self, action: NDArray[Any], /) -> Frame:
        """Sends one action, and executes the one that is due."""
        self._under_way.append(action.copy())
        return super().step(self._under_way.popleft())
