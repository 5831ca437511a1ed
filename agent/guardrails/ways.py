"""What an action asks of an effector: a way, in units of its longest in one control step.

Speeds and accelerations are means over a control step, since a command holds for so long: with positions `p[t]` and
control period `dt`, the speed is `|p[t + 1] - p[t]| / dt` and the acceleration
`|p[t + 1] - 2 p[t] + p[t - 1]| / dt**2`. An action longer than 1 asks for the longest way in its direction:
`way = action / max(1, |action|)`.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agent.guardrails.types import Action
from agent.readings import as_numbers
from envs.spec import BoxActions, Effector, TaskSpec
from jepa_mpc.ranges import check_number

ANY_CHANGE = 2.0
"""Two ways are no further apart."""

ROUNDING = 1e-6
"""A difference between ways, or metres, that counts as none: single precision makes them."""

NEAR = 0.1
"""Share of the whole below it within which a limit no longer binds each component to its own share; see `share_of`."""


@dataclass(frozen=True)
class Ways:
    """How the actions of a task move its effector.

    Attributes:
        sensor: Of the effector's position, m.
        shape: Of what it reads.
        action_dim: Dimensions in which it is moved.
        longest: Way in one control step, m.
        control_dt: Control period, s.
    """

    sensor: str
    shape: tuple[int, ...]
    action_dim: int
    longest: float
    control_dt: float

    @classmethod
    def of(cls, spec: TaskSpec, effector: Effector) -> "Ways":
        """Returns those of a task."""
        return cls(
            sensor=effector.sensor,
            shape=tuple(spec.sensors[effector.sensor].shape),
            action_dim=spec.action_dim,
            longest=effector.max_displacement,
            control_dt=spec.control_dt,
        )

    @property
    def speed(self) -> float:
        """That of the longest way, m/s."""
        return self.longest / self.control_dt

    @property
    def acceleration(self) -> float:
        """That of changing a way by a whole one from one control step to the next, m/s^2."""
        return self.longest / self.control_dt**2

    def read(self, readings: object) -> NDArray[np.float32] | None:
        """Returns where the effector's sensor says that it is, m, or None where it says nothing finite."""
        if not hasattr(readings, "get"):
            return None
        reading = as_numbers(readings.get(self.sensor))
        usable = reading is not None and reading.shape == self.shape and np.isfinite(reading).all()
        return reading if usable else None


def lacks(spec: TaskSpec) -> str | None:
    """Returns what a task lacks for its actions to be ways of an effector, or None where they are."""
    effector, actions = spec.effector, spec.actions
    if effector is None:
        return "an effector"
    if not isinstance(actions, BoxActions) or actions != BoxActions.unit(spec.action_dim):
        return f"actions that are ways of the effector, each component in [-1, 1], not {actions}"
    num_ways = sum(low < high for low, high in zip(effector.workspace.low, effector.workspace.high, strict=True))
    if num_ways != spec.action_dim:
        return f"actions of {num_ways} components, as many as the effector has ways, not {actions}"
    return None


def way_of(action: Action) -> Action:
    """Returns what an action asks for."""
    return action / max(1.0, length(action))


def length(vector: Action) -> float:
    """Returns the Euclidean length."""
    return math.sqrt(vector @ vector)


def shortened(previous: Action, way: Action, max_change: float) -> Action:
    """Returns the way, or, where it is too far from the previous one, as much of the change as is allowed."""
    change = way - previous
    size = length(change)
    return way if size <= max_change + ROUNDING else previous + change * (max_change / size)


def share_of(limit: float, *, whole: float, action_dim: int) -> float:
    """Returns how far each component may go on its own where all together may have a length of `limit`.

    A box inside of the ball, so that what is planned in it is executed as it is. Where the limit comes near to the
    `whole`, at which it limits nothing, the box grows to the whole, and the guardrails shorten what lies in its corners
    by what the limit is below the whole, a tenth at most: nothing jumps where a limit begins to bind.
    """
    share = limit / math.sqrt(action_dim)
    nearness = max(0.0, 1.0 - (1.0 - limit / whole) / NEAR)
    return share + nearness * (whole - whole / math.sqrt(action_dim))


def told(name: str, limit: float, error_name: str, error: float) -> float:
    """Returns what may be commanded, so that a robot that misses by as much as `error` keeps a limit."""
    check_number(error_name, error, least=0)
    if not is_number(limit) or not limit > error:
        raise ValueError(f"{name} must be a number above {error_name}={error}, got {limit}")
    return limit - error


def is_number(value: object) -> bool:
    """Returns whether a parameter is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
