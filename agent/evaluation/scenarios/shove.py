"""Someone shoves the block."""

import math
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from agent.evaluation.scenarios.types import ScenarioError, StagedEnv, first_step, scenario_generator
from envs.arm.mujoco_env import MujocoEnv
from envs.arm.push import PushEnv
from envs.episodes.rollout import GoalConditionedEnv, Policy
from envs.spec import TaskSpec

MAX_DRAWS = 100
"""Directions that are tried at one control step."""


class Shove:
    """Once in an episode the block is displaced along the table, between two control steps and in no time.

    The direction is uniform among those that leave the block inside its area, or no farther outside than the agent has
    brought it, and that do not put it into the finger. Where 100 draws find none, as when the finger holds the block in
    a corner of its area, the shove comes at the next control step at which they do.

    Args:
        spec: Of the task.
        start: When, s after the start of the episode.
        distance: How far, m.
    """

    note: str | None = None

    def __init__(self, spec: TaskSpec, *, start: float, distance: float) -> None:
        if "block_position" not in spec.goal:
            raise ValueError(f"a shove needs a block to be brought to a goal, and {spec.task_id} has none")
        if not distance > 0:
            raise ValueError(f"distance must be above 0, got {distance}")
        self.num_steps = spec.num_steps
        self._start = first_step(start, spec)
        self._distance = distance

    def stage(self, env: MujocoEnv, policy: Policy, *, seed: int) -> tuple[GoalConditionedEnv, Policy]:
        """Returns an environment in which it happens, and the policy as it is."""
        if not isinstance(env, PushEnv):
            raise ScenarioError(f"a shove displaces the block of jepa-mpc's push tasks, got {type(env).__name__}")
        generator = scenario_generator(seed)
        return _ShovedEnv(env, start=self._start, distance=self._distance, generator=generator), policy


class _ShovedEnv(StagedEnv):
    """Displaces the block before it executes the first action from `start` on at which there is room."""

    def __init__(self, env: PushEnv, *, start: int, distance: float, generator: Generator) -> None:
        super().__init__(env)
        self._push = env
        self._start = start
        self._distance = distance
        self._generator = generator
        self._step = 0
        self._done = False
        area = env.description.goal["block_position"]
        self._low, self._high = np.array(area.low[:2]), np.array(area.high[:2])

    def step(self, action: NDArray[Any], /) -> tuple[dict[str, NDArray[Any]], Any, bool, bool, dict[str, Any]]:
        if self._step >= self._start and not self._done:
            self._done = self._shove()
        self._step += 1
        return super().step(action)

    def _shove(self) -> bool:
        """Displaces the block if there is room for it."""
        before = self._push.get_state()
        outside = self._outside()
        for angle in self._generator.uniform(-math.pi, math.pi, MAX_DRAWS):
            self._push.displace_block(self._distance * np.array([math.cos(angle), math.sin(angle)]))
            if self._outside() <= outside and self._push.clearance() > 0:
                return True
            self._push.set_state(before)
        return False

    def _outside(self) -> float:
        """Returns how far the block's centre is outside its area, m."""
        block = self._push.block_position()[:2]
        return float(np.linalg.norm(np.maximum(0, np.maximum(self._low - block, block - self._high))))
