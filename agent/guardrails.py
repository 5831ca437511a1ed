"""Hard limits: the last word before the motors, whatever the planner says.

Speeds and accelerations are those of the tip, in the mean over a control step, since a command holds for so long: with
tips `p[t]` and control period `dt`, the speed is `|p[t + 1] - p[t]| / dt` and the acceleration
`|p[t + 1] - 2 p[t] + p[t - 1]| / dt**2`. A *way* is what an action asks of the tip in one control step, in units of the
task's longest: `way = action / max(1, |action|)`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from agent.braking import longest_step, way_to_rest
from agent.readings import as_numbers
from agent.tip import TipTrack, follow
from envs.spec import Box, TaskSpec
from planners.types import ActionBounds, is_whole

Way = NDArray[np.float64]

ANY_CHANGE = 2.0
"""Two ways are no further apart."""

ROUNDING = 1e-6
"""A difference between ways, or metres, that counts as none: single precision makes them."""


@dataclass(frozen=True)
class GuardedAction:
    """What may be executed, and what had to be changed.

    Attributes:
        action: `[action_dim]`, float32, finite, in [-1, 1].
        interventions: What was changed, in the order in which it was: of "non-finite", "bounds", "surprise", "blind",
            "speed", "acceleration", "workspace".
        reasons: To each intervention one sentence with the value and the limit.
        tip: What was known of the tip, or None where it was never read.
    """

    action: NDArray[np.float32]
    interventions: tuple[str, ...]
    reasons: tuple[str, ...]
    tip: TipTrack | None = None


class Guardrails:
    """Keeps the tip's position, speed and acceleration within limits, and stops on surprise.

    The limits hold for what the robot does, not only for what it is told: commands keep away from each limit by the
    error with which the robot follows them. To *stop* is to brake straight, as fast as the limit on acceleration
    allows, and then to hold still for as long as the reason lasts.

    A tip's sensor that stands still while the robot moves is frozen, and the robot stops. It then goes a short way and
    back, over and over, which a sensor that works again shows. Where the tip is, the guardrails meanwhile reckon.

    A way is let through if braking straight after it would bring the tip to rest inside the workspace. The next step
    may always brake, so that no wall comes too fast, and the tip may touch every wall.

    Args:
        spec: Of the task.
        max_speed: Of the tip, m/s, above `speed_error`; infinite for any.
        speed_error: By which the robot may be faster than it is told, m/s, at least 0.
        max_acceleration: Of the tip, m/s^2, above `acceleration_error`; infinite for any.
        acceleration_error: By which the robot may accelerate more than it is told, m/s^2, at least 0.
        workspace: Where the tip may be: `low` and `high`, `[3]` each, m; None for the task's workspace.
        margin: How far outside the workspace the tip may be, m, at least 0.
        position_error: By which the tip may miss what it is told, m, at least 0.
        tip_sensor: Reads where the tip is, `[3]`, m. While it reads nothing finite, the robot stops.
        frozen_after: Control steps at which the tip was told to move and its sensor read the same to the last bit,
            after which it is frozen; None for never.
        probe: The short way of a robot whose sensor is frozen, m, above 0.
        max_surprise: Surprise above which the robot stops, above 0; None for any. It goes on when surprise has fallen
            to this.

    Raises:
        ValueError: A limit that makes no sense, or a sensor that the task does not have.
    """

    def __init__(
        self,
        *,
        spec: TaskSpec,
        max_speed: float,
        speed_error: float,
        max_acceleration: float,
        acceleration_error: float,
        workspace: Mapping[str, Sequence[float]] | None,
        margin: float,
        position_error: float,
        tip_sensor: str,
        frozen_after: int | None,
        probe: float,
        max_surprise: float | None,
    ) -> None:
        if max_surprise is not None and (not _is_number(max_surprise) or not max_surprise > 0.0):
            raise ValueError(f"max_surprise must be a number above 0, or null for any, got {max_surprise}")
        effector = spec.effector
        if effector is None:
            raise ValueError(f"these guardrails limit the way of an effector, and {spec.task_id} has none")
        if tip_sensor not in spec.sensors:
            raise ValueError(
                f"tip_sensor must be a sensor of {spec.task_id}, one of {sorted(spec.sensors)}, got {tip_sensor!r}"
            )
        if frozen_after is not None and not (is_whole(frozen_after) and frozen_after >= 1):
            raise ValueError(f"frozen_after must be a whole number of at least 1, or null, got {frozen_after!r}")
        if not _is_number(probe) or not 0.0 < probe < math.inf:
            raise ValueError(f"probe must be a finite number above 0, got {probe}")
        self._action_dim = spec.action_dim
        self._control_dt = spec.control_dt
        self._max_displacement = effector.max_displacement
        top_speed = effector.max_displacement / spec.control_dt
        speed = _told("max_speed", max_speed, "speed_error", speed_error)
        acceleration = _told("max_acceleration", max_acceleration, "acceleration_error", acceleration_error)
        self._max_way = min(1.0, speed / top_speed)
        self._max_change = min(ANY_CHANGE, acceleration * spec.control_dt / top_speed)
        self._low, self._high = _aims(spec, effector.workspace, workspace, margin=margin, position_error=position_error)
        self.sensors = (tip_sensor,)
        self.tip_sensor = tip_sensor
        self._tip_shape = spec.sensors[tip_sensor].shape
        self._frozen_after = frozen_after
        self._probe_way = probe / effector.max_displacement
        self._max_surprise = max_surprise

    def bounds(self, last: GuardedAction | None) -> ActionBounds:
        """Returns what will be let through, so that what is planned is what is executed, away from walls.

        A box lies inside the balls that limit speed and acceleration, so each component has its own share of them.

        Args:
            last: What was executed before, or None at the start of an episode.
        """
        share = 1.0 / math.sqrt(self._action_dim)
        most = 1.0 if self._max_way >= 1.0 else share * self._max_way
        high = torch.full((self._action_dim,), most, dtype=torch.float32)
        if self._max_change >= ANY_CHANGE:
            return ActionBounds(low=-high, high=high)
        previous = torch.zeros_like(high) if last is None else torch.tensor(last.action)
        return ActionBounds(
            low=-high,
            high=high,
            max_change=torch.full_like(high, share * self._max_change),
            previous_action=previous.clamp(-high, high)[None],
        )

    def guard(
        self,
        action: NDArray[np.float32],
        *,
        last: GuardedAction | None,
        readings: Mapping[str, NDArray[np.float32]],
        surprise: float,
    ) -> GuardedAction:
        """Returns an action that is allowed: the one given, to the last bit, wherever it is.

        Args:
            action: `[action_dim]`, anything; a component that is not finite becomes 0.
            last: What was executed before, or None at the start of an episode, when the robot is at rest.
            readings: Sensor name to what it reads now, `[*sensor_shape]`; others than the tip's are ignored.
            surprise: Newest of short-term memory.
        """
        changes: dict[str, str] = {}
        asked = _bounded(action, changes)
        free = way = _way(asked)
        previous = np.zeros(self._action_dim) if last is None else _way(last.action.astype(np.float64))
        if self._max_surprise is not None and not surprise <= self._max_surprise:
            way = np.zeros(self._action_dim)
            changes["surprise"] = f"the surprise was {surprise:.3g}, at most {self._max_surprise:.3g} is allowed"
        reading = self._reading(readings)
        known = None if last is None or self._frozen_after is None else last.tip
        tip = follow(known, reading, self._max_displacement * previous)
        if reading is None:
            way = np.zeros(self._action_dim)
            changes["blind"] = f"the sensor '{self.tip_sensor}' read nothing finite, so the tip could be anywhere"
        elif tip is not None and self._frozen_after is not None and tip.still_steps >= self._frozen_after:
            way = self._probe(previous, way)
            changes["blind"] = (
                f"the sensor '{self.tip_sensor}' read the same after {tip.still_steps} control steps that should have "
                f"moved the tip, at most {self._frozen_after - 1} are allowed"
            )
        way = self._slow(way, changes)
        way = self._approach(previous, way, changes)
        if tip is not None:
            way = self._keep_inside(tip.position, previous, way, changes)
        return GuardedAction(
            action=(asked if way is free else way).astype(np.float32),
            interventions=tuple(changes),
            reasons=tuple(changes.values()),
            tip=tip,
        )

    def _reading(self, readings: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32] | None:
        """Returns where the tip's sensor says that it is, `[3]`, m, or None where it says nothing."""
        if self.tip_sensor not in readings:
            return None
        reading = as_numbers(readings[self.tip_sensor])
        usable = reading is not None and reading.shape == self._tip_shape and np.isfinite(reading).all()
        return reading if usable else None

    def _probe(self, previous: Way, way: Way) -> Way:
        """Returns, once the robot has braked, a short piece of the way, and after it the same back."""
        gone = _norm(previous)
        if gone > self._probe_way + ROUNDING:
            return np.zeros(self._action_dim)
        if gone > 0.0:
            return -previous
        return way * (self._probe_way / max(self._probe_way, _norm(way)))

    def _slow(self, way: Way, changes: dict[str, str]) -> Way:
        """Returns the way, shortened where it is too fast."""
        length = _norm(way)
        if length <= self._max_way + ROUNDING:
            return way
        changes["speed"] = f"{self._speed(length)} was asked for, at most {self._speed(self._max_way)} is commanded"
        return way * (self._max_way / length)

    def _approach(self, previous: Way, way: Way, changes: dict[str, str]) -> Way:
        """Returns the way, or, where it is too far from the previous one, as much of the change as is allowed."""
        change = way - previous
        length = _norm(change)
        if length <= self._max_change + ROUNDING:
            return way
        unit = self._max_displacement / self._control_dt**2
        changes["acceleration"] = (
            f"{length * unit:.3g} m/s^2 was asked for, at most {self._max_change * unit:.3g} m/s^2 is commanded"
        )
        return previous + change * (self._max_change / length)

    def _keep_inside(self, tip: Way, previous: Way, way: Way, changes: dict[str, str]) -> Way:
        """Returns the way, bent where braking after it would not bring the tip to rest inside the workspace."""
        rest = self._rest(tip, way)
        nearest = np.clip(rest, self._low, self._high)
        if np.array_equal(nearest, rest):
            return way
        changes["workspace"] = (
            f"the tip would have come to rest {_norm(nearest - rest):.3g} m outside of what commands may aim at"
        )
        inside = self._approach(previous, self._way_to(tip, nearest), changes)
        braking = self._approach(previous, np.zeros(self._action_dim), {})
        return inside if self._outside(tip, inside) <= self._outside(tip, braking) + ROUNDING else braking

    def _rest(self, tip: Way, way: Way) -> Way:
        """Returns where the tip, m, comes to rest if it goes the way and then brakes straight."""
        length = _norm(way)
        if length == 0.0:
            return tip
        return tip + way * (self._max_displacement * way_to_rest(length, self._max_change) / length)

    def _way_to(self, tip: Way, rest: Way) -> Way:
        """Returns the way after which braking straight brings the tip to rest there, m, or a slower one."""
        whole = (rest - tip) / self._max_displacement
        length = _norm(whole)
        if length == 0.0:
            return whole
        return whole * (min(longest_step(length, self._max_change), self._max_way) / length)

    def _outside(self, tip: Way, way: Way) -> float:
        """Returns how far outside the workspace the way and braking after it lead, m."""
        rest = self._rest(tip, way)
        return _norm(rest - np.clip(rest, self._low, self._high))

    def _speed(self, length: float) -> str:
        return f"{length * self._max_displacement / self._control_dt:.3g} m/s"


def _bounded(action: NDArray[np.float32], changes: dict[str, str]) -> Way:
    """Returns the action, finite and in [-1, 1]; itself where it is both."""
    asked = action.astype(np.float64)
    finite = np.isfinite(asked)
    if not finite.all():
        changes["non-finite"] = f"the action was {asked.tolist()}, a component that is not finite becomes 0"
        asked = np.where(finite, asked, 0.0)
    largest = float(np.abs(asked).max())
    if largest > 1.0:
        changes["bounds"] = f"a component of the action was {largest:.3g} in magnitude, at most 1 is allowed"
        asked = np.clip(asked, -1.0, 1.0)
    return asked


def _way(action: Way) -> Way:
    """Returns what an action asks of the tip, in units of its longest way in a control step."""
    return action / max(1.0, _norm(action))


def _norm(vector: Way) -> float:
    return math.sqrt(vector @ vector)


def _told(name: str, limit: float, error_name: str, error: float) -> float:
    """Returns what may be commanded, so that the robot keeps a limit."""
    _require_length(error_name, error)
    if not _is_number(limit) or not limit > error:
        raise ValueError(f"{name} must be a number above {error_name}={error}, got {limit}")
    return limit - error


def _require_length(name: str, value: float) -> None:
    if not _is_number(value) or not 0.0 <= value < math.inf:
        raise ValueError(f"{name} must be a finite number of at least 0, got {value}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _aims(
    spec: TaskSpec,
    reachable: Box,
    workspace: Mapping[str, Sequence[float]] | None,
    *,
    margin: float,
    position_error: float,
) -> tuple[Way, Way]:
    """Returns the box in which a command may let the tip come to rest, `[action_dim]` twice, m."""
    _require_length("margin", margin)
    _require_length("position_error", position_error)
    box = reachable if workspace is None else _box(workspace)
    if len(box.low) != len(reachable.low):
        raise ValueError(f"workspace must have {len(reachable.low)} dimensions, got {box}")
    low = np.array(box.low)[: spec.action_dim] - (margin - position_error)
    high = np.array(box.high)[: spec.action_dim] + (margin - position_error)
    if not (low < high).all():
        raise ValueError(
            f"workspace must leave room for commands that stay {position_error} m inside its margin of {margin} m, "
            f"got {box}"
        )
    return low, high


def _box(workspace: Mapping[str, Sequence[float]]) -> Box:
    try:
        box = Box(low=tuple(map(float, workspace["low"])), high=tuple(map(float, workspace["high"])))
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"workspace must be null or like {{low: [0.3, -0.2, 0.0], high: [0.7, 0.2, 0.3]}}, m, got {workspace}"
        ) from None
    return box
