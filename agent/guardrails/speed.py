"""How fast an effector may be."""

from dataclasses import dataclass, replace
from typing import ClassVar

from agent.guardrails.types import Action, Circumstances, Limit
from agent.guardrails.ways import ROUNDING, Ways, length, share_of, way_of
from planners.types import ActionBounds


@dataclass(frozen=True)
class Speed(Limit):
    """Shortens a way that is too fast.

    Attributes:
        ways: Of the effector.
        max_way: Longest that may be commanded, in units of the longest that there is, at most 1.
    """

    name: ClassVar[str] = "speed"

    ways: Ways
    max_way: float

    def keep(self, action: Action, circumstances: Circumstances) -> tuple[Action, str | None]:  # noqa: ARG002
        """Returns the action, or what is allowed, and why; see `Limit`."""
        way = way_of(action)
        asked = length(way)
        if asked <= self.max_way + ROUNDING:
            return action, None
        reason = f"{self._speed(asked)} was asked for, at most {self._speed(self.max_way)} is commanded"
        return way * (self.max_way / asked), reason

    def narrow(self, bounds: ActionBounds) -> ActionBounds:
        """Returns what it lets through; see `Limit`."""
        most = share_of(self.max_way, whole=1.0, action_dim=len(bounds.low))
        return replace(bounds, low=bounds.low.clamp_min(-most), high=bounds.high.clamp_max(most))

    def _speed(self, way: float) -> str:
        return f"{way * self.ways.speed:.3g} m/s"
