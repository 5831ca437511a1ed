"""What others may know of an environment without importing it: plain data that fits in JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


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
class EnvSpec:
    """The contract between a task and whoever learns from its episodes.

    Attributes:
        env_id: Registered id with its version, as in `gymnasium.make`.
        xml_hash: SHA-256 of the compiled MJCF source; another hash is another physics.
        sensors: Sensor name to the shape of its reading: those of the flat observation, in its order, then cameras.
        perceived: The sensors that the agent may see; the others are recorded for those who judge it.
        goal: Goal sensor name to the box that its wished reading is drawn from.
        asked: The sensors of which a goal says what they should read: those of `goal`, or cameras.
        workspace: Where the tip may be sent, m, in the base's frame.
        action_dim: Size of an action; every component lies in [-1, 1].
        max_displacement: Longest way of the tip in one control step, m.
        control_dt: Control period, s.
        num_steps: Control steps of an episode.
    """

    env_id: str
    xml_hash: str
    sensors: Mapping[str, tuple[int, ...]]
    perceived: tuple[str, ...]
    goal: Mapping[str, Box]
    asked: tuple[str, ...]
    workspace: Box
    action_dim: int
    max_displacement: float
    control_dt: float
    num_steps: int

    def to_json(self) -> dict[str, Any]:
        """Returns plain data that `from_json` turns back into an equal spec."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "EnvSpec":
        """Reads what `to_json` wrote.

        Raises:
            KeyError, TypeError, ValueError: `data` is no such thing.
        """
        return cls(
            env_id=str(data["env_id"]),
            xml_hash=str(data["xml_hash"]),
            sensors={str(name): tuple(int(size) for size in shape) for name, shape in data["sensors"].items()},
            perceived=tuple(str(name) for name in data["perceived"]),
            goal={str(name): _box(box) for name, box in data["goal"].items()},
            asked=tuple(str(name) for name in data["asked"]),
            workspace=_box(data["workspace"]),
            action_dim=int(data["action_dim"]),
            max_displacement=float(data["max_displacement"]),
            control_dt=float(data["control_dt"]),
            num_steps=int(data["num_steps"]),
        )


def _box(data: Mapping[str, Any]) -> Box:
    return Box(low=tuple(map(float, data["low"])), high=tuple(map(float, data["high"])))
