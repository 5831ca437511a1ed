"""How fast an effector may become faster, slower, or turn."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agent.guardrails.types import Action, Circumstances, Limit
from agent.guardrails.ways import ANY_CHANGE, ROUNDING, Ways, length, share_of, shortened, way_of


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

    def keep(self, action: Action, circumstances: Circumstances) -> tuple[Action, str | None]:
        """Returns the action, or what is allowed, and why; see `Limit`."""
        assert circumstances.previous_way is not None
        way, previous = way_of(action), circumstances.previous_way
        change = length(way - previous)
        if change <= self.max_change + ROUNDING:
            return action, None
        unit = self.ways.acceleration
        reason = f"{change * unit:.3g} m/s^2 was asked for, at most {self.max_change * unit:.3g} m/s^2 is commanded"
        return shortened(previous, way, self.max_change), reason

    def most_change(self, action_dim: int) -> Action | None:
        """Returns what it lets through; see `Limit`."""
        if self.max_change >= ANY_CHANGE:
            return None
        return np.full(action_dim, share_of(self.max_change, whole=ANY_CHANGE, action_dim=action_dim))
