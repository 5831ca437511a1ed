"""How fast an effector may become faster, slower, or turn."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from agent.guardrails.bounds import limit_change
from agent.guardrails.types import Action, Circumstances, Limit
from agent.guardrails.ways import ANY_CHANGE, ROUNDING, Ways, length, share_of, shortened, told, way_of
from planners.types import ActionBounds


@dataclass(frozen=True)
class Acceleration(Limit):
    """Lets a way differ from the one before by no more than a length.

    Attributes:
        ways: Of the effector.
        max_change: Of a way, in units of the longest, at most `ANY_CHANGE`.
    """

    name: ClassVar[str] = "acceleration"

    ways: Ways
    max_change: float

    @classmethod
    def of(cls, ways: Ways, *, max_acceleration: float, acceleration_error: float) -> "Acceleration":
        """Returns the limit for a robot that accelerates no more than by `acceleration_error`, m/s^2, above its orders.

        Args:
            ways: Of the effector.
            max_acceleration: Of the effector, m/s^2, above `acceleration_error`; infinite for any.
            acceleration_error: At least 0.

        Raises:
            ValueError: A limit that makes no sense.
        """
        acceleration = told("max_acceleration", max_acceleration, "acceleration_error", acceleration_error)
        return cls(ways=ways, max_change=min(ANY_CHANGE, acceleration / ways.acceleration))

    def keep(self, action: Action, circumstances: Circumstances) -> tuple[Action, str | None]:
        """Returns the action, or what is allowed, and why; see `Limit`."""
        assert circumstances.previous is not None
        way, previous = way_of(action), way_of(circumstances.previous)
        change = length(way - previous)
        if change <= self.max_change + ROUNDING:
            return action, None
        unit = self.ways.acceleration
        reason = f"{change * unit:.3g} m/s^2 was asked for, at most {self.max_change * unit:.3g} m/s^2 is commanded"
        return shortened(previous, way, self.max_change), reason

    def narrow(self, bounds: ActionBounds, previous: Action | None) -> ActionBounds:
        """Returns what it lets through; see `Limit`."""
        if self.max_change >= ANY_CHANGE:
            return bounds
        assert previous is not None
        share = share_of(self.max_change, whole=ANY_CHANGE, action_dim=len(bounds.low))
        return limit_change(bounds, torch.full_like(bounds.high, share), previous)
