"""A policy in an environment: one seed, one episode."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from envs.episodes.episode import Episode
from envs.spec import Actions, TaskSpec

Sensors = Mapping[str, NDArray[Any]]
"""Sensor name to its reading, `[*shape]`."""


class Policy(Protocol):
    """Whoever acts. It sees the named sensors and the goal observation, and nothing else of the simulator."""

    def reset(self, goal: Sensors, *, seed: int) -> None:
        """Forgets the last episode.

        Args:
            goal: Goal sensor name to the wished reading; sensors that are not asked for are absent.
            seed: Of everything that the policy draws in this episode.
        """
        ...

    def act(self, observation: Sensors) -> NDArray[Any]:
        """Returns the next action `[action_dim]`, one of the task's."""
        ...


class GoalConditionedEnv(Protocol):
    """What a rollout asks of an environment."""

    @property
    def description(self) -> TaskSpec:
        """What others may know of it."""
        ...

    @property
    def criterion(self) -> str:
        """Says, for people, when a goal counts as reached."""
        ...

    def reset(self, *, seed: int | None = None) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Starts an episode."""
        ...

    def step(self, action: NDArray[Any], /) -> tuple[dict[str, NDArray[Any]], Any, bool, bool, dict[str, Any]]:
        """Executes one action."""
        ...

    def sensor_readings(self, state: Mapping[str, NDArray[Any]], /) -> Sensors:
        """Names all sensors of what `reset` or `step` returned."""
        ...

    def goal_readings(self, desired_goal: NDArray[Any], /) -> Sensors:
        """Returns what a policy is told of a goal."""
        ...

    def distance_to_goal(self, achieved: NDArray[Any], desired: NDArray[Any], /) -> Any:
        """Returns how far the goal is, m."""
        ...

    def close(self) -> None:
        """Frees what it draws with, if it draws."""
        ...


def policy_seed(seed: int) -> int:
    """Returns the policy's own seed in the episode of environment seed `seed`: the two draw independent numbers."""
    return int(np.random.SeedSequence(seed, spawn_key=(0,)).generate_state(1, np.uint64)[0])


def rollout(env: GoalConditionedEnv, policy: Policy, *, seed: int, num_steps: int) -> Episode:
    """Runs one episode of `num_steps`; it never stops early.

    Raises:
        ValueError: The policy returned something else than an action of the task.
    """
    spec = env.description
    state, info = env.reset(seed=seed)
    goal, redrawn = state["desired_goal"], int(info["redrawn"])
    policy.reset(env.goal_readings(goal), seed=policy_seed(seed))
    reading = env.sensor_readings(state)
    observations = {name: np.empty((num_steps + 1, *value.shape), value.dtype) for name, value in reading.items()}
    actions = np.empty((num_steps, spec.action_dim), np.float32)
    distance_to_goal = np.empty(num_steps + 1)
    is_success = np.empty(num_steps + 1, np.bool_)
    for time in range(num_steps + 1):
        for name, value in reading.items():
            observations[name][time] = value
        distance_to_goal[time] = env.distance_to_goal(state["achieved_goal"], goal)
        is_success[time] = info["is_success"]
        if time < num_steps:
            actions[time] = _checked(policy.act(reading), spec.actions)
            state, _, _, _, info = env.step(actions[time].copy())
            reading = env.sensor_readings(state)
    return Episode(
        observations=observations,
        actions=actions,
        seed=seed,
        distance_to_goal=distance_to_goal,
        is_success=is_success,
        redrawn=redrawn,
    )


def _checked(action: NDArray[Any], actions: Actions) -> NDArray[Any]:
    if np.ndim(action) != 1 or not actions.contains(action).all():
        raise ValueError(f"the policy returned the action {action!r}, expected {actions}")
    return action
