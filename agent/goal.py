"""Where goals come from: today, wished sensor readings; a goal may leave sensors out."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import ArrayLike

from envs.spec import EnvSpec
from world_model.types import Goal


class GoalError(ValueError):
    """A goal that the agent cannot pursue."""


def make_goal(readings: Mapping[str, ArrayLike], spec: EnvSpec) -> Goal:
    """Returns the goal that the named sensors read so, and that says nothing about the others.

    Args:
        readings: Sensor name to the wished reading, `[*sensor_shape]`, in the sensor's units.
        spec: Which sensors there are, and where goals may lie.

    Raises:
        GoalError: No sensor is named, or one that does not exist, or a reading has the wrong shape, is not finite, or
            lies outside the box that the task's goals are drawn from.
    """
    if not readings:
        raise GoalError(f"a goal must name at least one of the sensors {sorted(spec.sensors)}, got none")
    observation = {name: torch.from_numpy(_check(name, reading, spec))[None] for name, reading in readings.items()}
    return Goal(observation=observation, asked={name: torch.ones(1, dtype=torch.bool) for name in observation})


def _check(name: str, reading: ArrayLike, spec: EnvSpec) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    if name not in spec.sensors:
        raise GoalError(f"a goal must name sensors among {sorted(spec.sensors)}, got '{name}'")
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
    if name in spec.goal:
        box = spec.goal[name]
        low, high = np.array(box.low, np.float32), np.array(box.high, np.float32)
        if not ((low <= values) & (values <= high)).all():
            raise GoalError(
                f"the goal for '{name}' must lie between {low.tolist()} and {high.tolist()}, got {values.tolist()}"
            )
    return values
