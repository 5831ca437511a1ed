"""Who does not know where the effector is stops."""

from dataclasses import dataclass
from typing import ClassVar

from agent.guardrails.types import Action, Circumstances, Limit
from agent.guardrails.ways import ROUNDING, Ways, length, way_of
from jepa_mpc.ranges import check_count, check_number


@dataclass(frozen=True)
class Blindness(Limit):
    """Stops the robot while its effector's sensor reads nothing, or stands still though the effector is moved.

    Such a sensor is frozen. The robot then goes a short way and back, over and over, which a sensor that works again
    shows. Where the effector is, the guardrails meanwhile reckon.

    Attributes:
        ways: Of the effector.
        frozen_after: Control steps at which the effector was told to move and its sensor read the same to the last bit,
            after which it is frozen; None for never.
        probe: The short way of a robot whose sensor is frozen, m, above 0.

    Raises:
        ValueError: A value that makes no sense.
    """

    name: ClassVar[str] = "blind"

    ways: Ways
    frozen_after: int | None
    probe: float

    def __post_init__(self) -> None:
        check_count("frozen_after", self.frozen_after, least=1, null=True)
        check_number("probe", self.probe, above=0)

    @property
    def sensors(self) -> tuple[str, ...]:
        """The effector's."""
        return (self.ways.sensor,)

    def keep(self, action: Action, circumstances: Circumstances) -> tuple[Action, str | None]:
        """Returns the action, or what is allowed, and why; see `Limit`."""
        sensor, track = self.ways.sensor, circumstances.track
        if circumstances.reading is None:
            return circumstances.still, f"the sensor '{sensor}' read nothing finite, so the effector could be anywhere"
        if track is None or self.frozen_after is None or track.still_steps < self.frozen_after:
            return action, None
        assert circumstances.previous_way is not None
        reason = (
            f"the sensor '{sensor}' read the same after {track.still_steps} control steps that should have moved the "
            f"effector, at most {self.frozen_after - 1} are allowed"
        )
        return self._probe(circumstances.previous_way, way_of(action), circumstances.still), reason

    def _probe(self, previous: Action, way: Action, still: Action) -> Action:
        """Returns, once the robot has braked, a short piece of the way, and after it the same back."""
        piece, gone = self.probe / self.ways.longest, length(previous)
        if gone > piece + ROUNDING:
            return still
        if gone > 0.0:
            return -previous
        return way * (piece / max(piece, length(way)))
