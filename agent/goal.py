"""Where goals come from: wished sensor readings, one goal or several in order; a goal may leave sensors out."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from agent.readings import as_numbers, flaw
from envs.spec import Box, TaskSpec
from jepa_mpc.errors import UserError
from world_model.types import Goal, LatentGoal

_TOLERANCE = 1e-3
"""By which a goal may lie outside its box, in the sensor's units: a measured height is never quite a table's."""

GoalReadings = Mapping[str, ArrayLike]
"""Sensor name to the wished reading, `[*sensor_shape]`, in the sensor's units."""


class GoalError(UserError):
    """A goal that the agent cannot pursue."""


def make_goals(
    goals: GoalReadings | Sequence[GoalReadings], spec: TaskSpec, *, sensors: Collection[str]
) -> tuple[Goal, ...]:
    """Returns the goals that are to be reached one after the other; see `make_goal`.

    Args:
        goals: One, or several in order.
        spec: The shapes of the sensors, and where goals and the effector may lie.
        sensors: Those that can be asked for.

    Raises:
        GoalError: There is none, or one that cannot be pursued.
    """
    if isinstance(goals, Mapping):
        return (make_goal(goals, spec, sensors=sensors),)
    if isinstance(goals, str) or not isinstance(goals, Sequence):
        raise GoalError(f"a goal must map sensors to wished readings, or be a list of such goals, got {goals!r}")
    if not goals:
        raise GoalError("a list of sub-goals must hold at least one goal, got none")
    for goal in goals:
        if not isinstance(goal, Mapping):
            raise GoalError(f"a sub-goal must map sensors to wished readings, got {goal!r}")
    return tuple(make_goal(goal, spec, sensors=sensors) for goal in goals)


def make_goal(readings: GoalReadings, spec: TaskSpec, *, sensors: Collection[str]) -> Goal:
    """Returns the goal that the named sensors read so, and that says nothing about the others.

    Args:
        readings: What is wished.
        spec: The shapes of the sensors, and where goals and the effector may lie.
        sensors: Those that can be asked for: the ones that the world model perceives.

    Raises:
        GoalError: No sensor is named, or one that does not exist, or a reading has the wrong shape, is not finite, or
            lies outside the box that the task's goals are drawn from, or outside the workspace.
    """
    if not readings:
        raise GoalError(f"a goal must name at least one of the sensors {sorted(sensors)}, got none")
    for name in readings:
        if name not in sensors:
            raise GoalError(f"a goal must name sensors among {sorted(sensors)}, got '{name}'")
    observation = {name: torch.from_numpy(_check(name, reading, spec))[None] for name, reading in readings.items()}
    return Goal(observation=observation, asked={name: torch.ones(1, dtype=torch.bool) for name in observation})


def goal_distance(embeddings: Tensor, goal: LatentGoal) -> Tensor:
    """Returns the mean squared distance to the goal over the dimensions that it asks for, `[batch]`.

    Args:
        embeddings: `[batch, embed_dim]`.
        goal: Of the batch.
    """
    squares = (embeddings - goal.embedding).square().masked_fill(~goal.mask, 0.0)
    return squares.sum(dim=1) / goal.mask.sum(dim=1)


def _check(name: str, reading: ArrayLike, spec: TaskSpec) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    sensor, values = spec.sensors[name], as_numbers(reading)
    if values is None:
        raise GoalError(f"the goal for '{name}' must be numbers of shape {sensor.shape}, got {reading!r}")
    if values.shape != sensor.shape:
        raise GoalError(f"the goal for '{name}' must have shape {sensor.shape}, got {values.shape}")
    wrong = flaw(values, sensor)
    if wrong is not None:
        raise GoalError(f"the goal for '{name}' {wrong}")
    box = _box(name, spec)
    if box is not None:
        inside = (np.subtract(box.low, _TOLERANCE) <= values) & (values <= np.add(box.high, _TOLERANCE))
        if not inside.all():
            raise GoalError(
                f"the goal for '{name}' must lie between {list(box.low)} and {list(box.high)}, "
                f"got {values.astype(float).round(4).tolist()}"
            )
    return values


def _box(name: str, spec: TaskSpec) -> Box | None:
    """Returns where the readings of a sensor may lie, if that is known."""
    effector = spec.effector
    return spec.goal.get(name, effector.workspace if effector is not None and name == effector.sensor else None)
