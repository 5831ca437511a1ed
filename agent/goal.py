"""Where goals come from: today, wished sensor readings; a goal may leave sensors out."""

from collections.abc import Collection, Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike

from envs.spec import Box, EnvSpec
from world_model.types import Goal


class GoalError(ValueError):
    """A goal that the agent cannot pursue."""


def make_goal(readings: Mapping[str, ArrayLike], spec: EnvSpec, *, sensors: Collection[str]) -> Goal:
    """Returns the goal that the named sensors read so, and that says nothing about the others.

    Args:
        readings: Sensor name to the wished reading, `[*sensor_shape]`, in the sensor's units.
        spec: The shapes of the sensors, and where goals and the tip may lie.
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


def _check(name: str, reading: ArrayLike, spec: EnvSpec) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    try:
        values = np.array(reading, dtype=np.float32)
    except (TypeError, ValueError):
        raise GoalError(
            f"the goal for '{name}' must be numbers of shape {spec.sensors[name]}, got {reading!r}"
        ) from None
    if values.shape != tuple(spec.sensors[name]):
        raise GoalError(f"the goal for '{name}' must have shape {spec.sensors[name]}, got {values.shape}")
    if not np.isfinite(values).all():
        raise GoalError(f"the goal for '{name}' must be finite, got {values.tolist()}")
    box = _box(name, spec)
    if box is not None:
        low, high = np.array(box.low, np.float32), np.array(box.high, np.float32)
        if not ((low <= values) & (values <= high)).all():
            raise GoalError(
                f"the goal for '{name}' must lie between {low.tolist()} and {high.tolist()}, got {values.tolist()}"
            )
    return values


def _box(name: str, spec: EnvSpec) -> Box | None:
    """Returns where the readings of a sensor may lie, if that is known."""
    return spec.goal.get(name, spec.workspace if name == "tip" else None)
