"""What others may know of a task without importing it: plain data that fits in JSON."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

KINDS = ("numbers", "image")

TASK_ID = re.compile(r"[A-Za-z0-9_./-]+")
"""No colon: `gymnasium.make("module:id")` would import the module."""

SENSOR_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""It is a key of configs and a part of file names."""


@dataclass(frozen=True)
class Box:
    """An axis-aligned box.

    Attributes:
        low: Lower corner, in the units of what it bounds.
        high: Upper corner.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Sensor:
    """What a sensor reads.

    Attributes:
        shape: Of a reading.
        kind: "numbers", or "image" for what a camera sees: height, width, colours, each 0 to 255.
        unit: Of its numbers, as "m", "rad" or "m/s"; "" where there is none.

    Raises:
        ValueError: It has no shape, an unknown kind, or the shape of no image.
    """

    shape: tuple[int, ...]
    kind: Literal["numbers", "image"]
    unit: str

    def __post_init__(self) -> None:
        if not 1 <= len(self.shape) <= 4 or min(self.shape) < 1:
            raise ValueError(f"the shape of a sensor must be 1 to 4 sizes above 0, got {self.shape}")
        if self.kind not in KINDS:
            raise ValueError(f"the kind of a sensor must be one of {KINDS}, got {self.kind!r}")
        if self.is_image and (len(self.shape) != 3 or self.shape[2] != 3):
            raise ValueError(f"the shape of an image must be (height, width, 3), got {self.shape}")

    @property
    def is_image(self) -> bool:
        """Whether it is a camera."""
        return self.kind == "image"


@dataclass(frozen=True)
class BoxActions:
    """Actions that are numbers in the robot's own units.

    Actions are in single precision, and so are their bounds: one that is not is rounded towards the inside, so that
    what is told to go as far as it may is inside to the last bit.

    Attributes:
        low: Least of each component.
        high: Most of each component, above `low`.
        idle: The action that does nothing, or None where there is none.

    Raises:
        ValueError: The bounds are empty, not finite or not below each other, or the idle action lies outside.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    idle: tuple[float, ...] | None

    def __post_init__(self) -> None:
        if not len(self.low) == len(self.high) > 0:
            raise ValueError(f"the bounds of actions must be two vectors of one size, got {self.low} and {self.high}")
        low, high = _in_single_precision(self.low, towards=np.inf), _in_single_precision(self.high, towards=-np.inf)
        if not (np.isfinite((self.low, self.high)).all() and np.less(low, high).all()):
            raise ValueError(f"the bounds of actions must be finite and low below high, got {self.low}, {self.high}")
        if self.idle is not None:
            fits = len(self.idle) == len(self.low)
            if not fits or not all(map(lambda least, it, most: least <= it <= most, self.low, self.idle, self.high)):
                raise ValueError(f"the idle action must lie between {self.low} and {self.high}, got {self.idle}")
            object.__setattr__(self, "idle", tuple(np.clip(self.idle, low, high).astype(np.float32).tolist()))
        object.__setattr__(self, "low", low)
        object.__setattr__(self, "high", high)

    @classmethod
    def unit(cls, action_dim: int) -> "BoxActions":
        """Returns actions whose components lie in [-1, 1], and of which 0 does nothing."""
        return cls(low=(-1.0,) * action_dim, high=(1.0,) * action_dim, idle=(0.0,) * action_dim)

    @property
    def action_dim(self) -> int:
        """The size of an action."""
        return len(self.low)

    @property
    def idle_action(self) -> NDArray[np.float32] | None:
        """The action that does nothing, `[action_dim]`, or None where there is none."""
        return None if self.idle is None else np.array(self.idle, np.float32)

    def from_unit(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Returns the actions at `values`, `[..., action_dim]`, in units of the box: -1 is `low`, 1 is `high`.

        Values outside are moved onto the border.
        """
        values = np.asarray(values).clip(-1, 1)
        if not self._is_unit:  # there they are the actions, at every step of a collection
            low, high = self._corners
            values = ((low + high) / 2 + (high - low) / 2 * values).clip(low, high)
        return values.astype(np.float32)

    def contains(self, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """Returns which of `actions`, `[..., action_dim]`, are finite and inside the bounds, `[...]`."""
        if np.shape(actions)[-1:] != (self.action_dim,):
            return np.zeros(np.shape(actions)[:-1], np.bool_)
        low, high = self._corners
        return np.asarray(((actions >= low) & (actions <= high)).all(axis=-1))

    def admits(self, action: NDArray[Any]) -> bool:
        """Returns whether something is one action, `[action_dim]`; `contains` is slower, and asks for many."""
        if np.shape(action) != (len(self.low),):
            return False
        for it, low, high in zip(np.asarray(action).tolist(), self.low, self.high, strict=True):
            if not low <= it <= high:
                return False
        return True

    def __str__(self) -> str:
        """Says what an action is, for people."""
        if len(set(self.low)) == len(set(self.high)) == 1:
            return f"{self.action_dim} finite numbers in [{self.low[0]:g}, {self.high[0]:g}]"
        low, high = (", ".join(f"{bound:g}" for bound in corner) for corner in (self.low, self.high))
        return f"{self.action_dim} finite numbers between [{low}] and [{high}]"

    @cached_property
    def _is_unit(self) -> bool:
        return set(self.low) == {-1.0} and set(self.high) == {1.0}

    @cached_property
    def _corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array(self.low), np.array(self.high)


@dataclass(frozen=True)
class DiscreteActions:
    """A choice among a few actions. An action is one-hot, `[num_actions]`: all 0 but one 1.

    Attributes:
        num_actions: How many there are, at least 2.
        idle: Index of the action that does nothing, or None where there is none.

    Raises:
        ValueError: There is no choice, or the idle action is none of them.
    """

    num_actions: int
    idle: int | None

    def __post_init__(self) -> None:
        if self.num_actions < 2:
            raise ValueError(f"discrete actions must be at least 2, got {self.num_actions}")
        if self.idle is not None and self.idle not in range(self.num_actions):
            raise ValueError(f"the idle action must be in 0..{self.num_actions - 1}, got {self.idle}")

    @property
    def action_dim(self) -> int:
        """The size of an action."""
        return self.num_actions

    @property
    def idle_action(self) -> NDArray[np.float32] | None:
        """The action that does nothing, one-hot, `[num_actions]`, or None where there is none."""
        return None if self.idle is None else self.one_hot(self.idle)

    def one_hot(self, index: int) -> NDArray[np.float32]:
        """Returns an action by its index, `[num_actions]`."""
        action = np.zeros(self.num_actions, np.float32)
        action[index] = 1
        return action

    def from_unit(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Returns the actions that `values`, `[..., num_actions]`, speak most for, one-hot."""
        one_hot: NDArray[np.float32] = np.eye(self.num_actions, dtype=np.float32)[np.argmax(values, axis=-1)]
        return one_hot

    def contains(self, actions: NDArray[Any]) -> NDArray[np.bool_]:
        """Returns which of `actions`, `[..., num_actions]`, are one-hot, `[...]`."""
        if np.shape(actions)[-1:] != (self.num_actions,):
            return np.zeros(np.shape(actions)[:-1], np.bool_)
        return np.asarray(((actions == 0) | (actions == 1)).all(axis=-1) & (np.sum(actions, axis=-1) == 1))

    def admits(self, action: NDArray[Any]) -> bool:
        """Returns whether something is one action, `[num_actions]`."""
        return np.ndim(action) == 1 and bool(self.contains(action))

    def __str__(self) -> str:
        """Says what an action is, for people."""
        return f"{self.num_actions} numbers of which one is 1 and the others are 0"


Actions = BoxActions | DiscreteActions


@dataclass(frozen=True)
class Effector:
    """The part of a robot that is sent somewhere.

    Attributes:
        sensor: Of its position, m.
        workspace: Where it may be sent, m, in the base's frame. A dimension whose two bounds coincide is fixed.
        max_displacement: Its longest way in one control step, m.
    """

    sensor: str
    workspace: Box
    max_displacement: float


@dataclass(frozen=True)
class TaskSpec:
    """The contract between a task and whoever learns from its episodes.

    Attributes:
        task_id: Registered id with its version, as in `gymnasium.make`.
        fingerprint: SHA-256 of all that the physics depend on; another fingerprint is another physics.
        sensors: What is recorded, by name, in the order of the flat observation where there is one, then cameras.
        perceived: The sensors that the agent may see; the others are recorded for those who judge it.
        asked: The sensors of which a goal says what they should read.
        goal: Sensor name to the box that its wished reading is drawn from, where that is known.
        actions: What an action is.
        control_dt: Control period, s.
        num_steps: Control steps of an episode at most.
        effector: What is sent where it should go, or None.
    """

    task_id: str
    fingerprint: str
    sensors: Mapping[str, Sensor]
    perceived: tuple[str, ...]
    asked: tuple[str, ...]
    goal: Mapping[str, Box]
    actions: Actions
    control_dt: float
    num_steps: int
    effector: Effector | None

    @property
    def action_dim(self) -> int:
        """The size of an action."""
        return self.actions.action_dim

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Sensor name to the shape of its reading."""
        return {name: sensor.shape for name, sensor in self.sensors.items()}

    def to_json(self) -> dict[str, Any]:
        """Returns plain data that `from_json` turns back into an equal spec."""
        return asdict(self)

    def differences(self, other: "TaskSpec") -> dict[str, tuple[Any, Any]]:
        """Returns what another spec says otherwise: key to what stands here and what there, as in JSON."""
        here, there = self.to_json(), other.to_json()
        return {key: (value, there[key]) for key, value in here.items() if value != there[key]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "TaskSpec":
        """Reads what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: `data` is no such thing.
        """
        return cls(
            task_id=str(data["task_id"]),
            fingerprint=str(data["fingerprint"]),
            sensors={str(name): _sensor(sensor) for name, sensor in data["sensors"].items()},
            perceived=tuple(str(name) for name in data["perceived"]),
            asked=tuple(str(name) for name in data["asked"]),
            goal={str(name): _box(box) for name, box in data["goal"].items()},
            actions=_actions(data["actions"]),
            control_dt=float(data["control_dt"]),
            num_steps=int(data["num_steps"]),
            effector=None if data["effector"] is None else _effector(data["effector"]),
        )


def _in_single_precision(values: tuple[float, ...], *, towards: float) -> tuple[float, ...]:
    """Returns each value if it is one of single precision, and else the next such towards where it is said."""
    exact = np.array(values, np.float64)
    with np.errstate(over="ignore"):
        rounded = exact.astype(np.float32)
    beyond = rounded < exact if towards > 0 else rounded > exact
    return tuple(np.where(beyond, np.nextafter(rounded, np.float32(towards)), rounded).tolist())


def _sensor(data: Mapping[str, Any]) -> Sensor:
    return Sensor(shape=tuple(int(size) for size in data["shape"]), kind=data["kind"], unit=str(data["unit"]))


def _actions(data: Mapping[str, Any]) -> Actions:
    idle = data["idle"]
    if "num_actions" in data:
        return DiscreteActions(num_actions=int(data["num_actions"]), idle=None if idle is None else int(idle))
    box = _box(data)
    return BoxActions(low=box.low, high=box.high, idle=None if idle is None else tuple(map(float, idle)))


def _effector(data: Mapping[str, Any]) -> Effector:
    return Effector(
        sensor=str(data["sensor"]),
        workspace=_box(data["workspace"]),
        max_displacement=float(data["max_displacement"]),
    )


def _box(data: Mapping[str, Any]) -> Box:
    return Box(low=tuple(map(float, data["low"])), high=tuple(map(float, data["high"])))
