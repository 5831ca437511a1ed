"""What a scenario is, and what all of them share."""

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from envs.arm.mujoco_env import MujocoEnv
from envs.episodes.rollout import GoalConditionedEnv, Policy, Sensors
from envs.spec import TaskSpec
from jepa_mpc.errors import UserError


class ScenarioError(UserError):
    """A scenario that cannot take place; the message is one sentence for whoever chose it."""


class Scenario(Protocol):
    """Comes between an agent and its environment.

    It may look into the simulator; the agent meets its consequences, through sensors and goals, and nothing else.

    Attributes:
        num_steps: Control steps of an episode.
        note: What a reader of its results must know, or None.
    """

    num_steps: int
    note: str | None

    def stage(self, env: MujocoEnv, policy: Policy, *, seed: int) -> tuple[GoalConditionedEnv, Policy]:
        """Returns environment and policy as they meet in one episode.

        Args:
            env: Where the episode takes place.
            policy: Who acts.
            seed: Of the episode; all that the scenario draws comes from it.

        Raises:
            ScenarioError: It cannot take place there; at the latest, the environment raises this when it is reset.
        """
        ...


class StagedEnv:
    """An environment in which nothing happens yet: scenarios override what they change.

    Args:
        env: What goes on beneath.
    """

    def __init__(self, env: MujocoEnv) -> None:
        self._env = env

    @property
    def description(self) -> TaskSpec:
        """What others may know of it."""
        return self._env.description

    @property
    def criterion(self) -> str:
        """Says, for people, when a goal counts as reached."""
        return self._env.criterion

    def reset(self, *, seed: int | None = None) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Starts an episode."""
        return self._env.reset(seed=seed)

    def step(self, action: NDArray[Any], /) -> tuple[dict[str, NDArray[Any]], Any, bool, bool, dict[str, Any]]:
        """Executes one action."""
        return self._env.step(action)

    def sensor_readings(self, state: Mapping[str, NDArray[Any]], /) -> Sensors:
        """Names all sensors of what `reset` or `step` returned."""
        return self._env.sensor_readings(state)

    def goal_readings(self, desired_goal: NDArray[Any], /) -> Sensors:
        """Returns what a policy is told of a goal."""
        return self._env.goal_readings(desired_goal)

    def distance_to_goal(self, achieved: NDArray[Any], desired: NDArray[Any], /) -> Any:
        """Returns how far the goal is, m."""
        return self._env.distance_to_goal(achieved, desired)

    def close(self) -> None:
        """Frees what it draws with, if it draws."""
        self._env.close()


def scenario_generator(seed: int) -> Generator:
    """Returns what a scenario draws from in the episode of that seed: neither the environment's nor the policy's."""
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
