"""Where an effector may be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agent.guardrails.braking import longest_step, way_to_rest
from agent.guardrails.types import Action, Circumstances, Limit
from agent.guardrails.ways import ROUNDING, Ways, length, shortened, way_of
from envs.spec import Box
from jepa_mpc.ranges import check_number


@dataclass(frozen=True, eq=False)
class Workspace(Limit):
    """Bends a way of which braking straight after it would not bring the effector to rest inside a box.

    The next step may always brake, so that no wall comes too fast, and the effector may touch every wall.

    Attributes:
        ways: Of the effector.
        low: `[action_dim]`, m, lower corner of the box in which a command may let the effector come to rest.
        high: `[action_dim]`, m, upper corner.
        max_way: With which it is moved; see `Speed`.
        max_change: By which it can brake; see `Acceleration`.
    """

    name: ClassVar[str] = "workspace"

    ways: Ways
    low: Action
    high: Action
    max_way: float
    max_change: float

    @classmethod
    def of(
        cls,
        ways: Ways,
        reachable: Box,
        *,
        workspace: Mapping[str, Sequence[float]] | None,
        margin: float,
        position_error: float,
        max_way: float,
        max_change: float,
    ) -> "Workspace":
        """Returns the limit for a robot that misses what it is told by no more than `position_error`, m.

        It may be `margin`, m, outside of the `workspace`, or of all that is `reachable` where that is None.
        """
        check_number("margin", margin, least=0)
        box = reachable if workspace is None else _box(workspace)
        if len(box.low) != len(reachable.low):
            raise ValueError(f"workspace must have {len(reachable.low)} dimensions, got {box}")
        low = np.array(box.low)[: ways.action_dim] - (margin - position_error)
        high = np.array(box.high)[: ways.action_dim] + (margin - position_error)
        if not (low < high).all():
            raise ValueError(
                f"workspace must leave room for commands that stay {position_error} m inside its margin of {margin} m, "
                f"got {box}"
            )
        return cls(ways=ways, low=low, high=high, max_way=max_way, max_change=max_change)

    @property
    def sensors(self) -> tuple[str, ...]:
        """The effector's."""
        return (self.ways.sensor,)

    def keep(self, action: Action, circumstances: Circumstances) -> tuple[Action, str | None]:
        """Returns the action, or what is allowed, and why; see `Limit`."""
        if circumstances.track is None:
            return action, None
        assert circumstances.previous_way is not None
        tip, previous, way = circumstances.track.position, circumstances.previous_way, way_of(action)
        rest = self._rest(tip, way)
        nearest = np.clip(rest, self.low, self.high)
        if np.array_equal(nearest, rest):
            return action, None
        reason = (
            f"the effector would have come to rest {length(nearest - rest):.3g} m outside of what commands may aim at"
        )
        inside = shortened(previous, self._way_to(tip, nearest), self.max_change)
        braking = shortened(previous, np.zeros_like(way), self.max_change)
        return (inside if self._outside(tip, inside) <= self._outside(tip, braking) + ROUNDING else braking), reason

    def _rest(self, position: Action, way: Action) -> Action:
        """Returns where the effector, m, comes to rest if it goes the way and then brakes straight."""
        size = length(way)
        if size == 0.0:
            return position
        return position + way * (self.ways.longest * way_to_rest(size, self.max_change) / size)

    def _way_to(self, position: Action, rest: Action) -> Action:
        """Returns the way after which braking straight brings the effector to rest there, m, or a slower one."""
        whole = (rest - position) / self.ways.longest
        size = length(whole)
        if size == 0.0:
            return whole
        return whole * (min(longest_step(size, self.max_change), self.max_way) / size)

    def _outside(self, position: Action, way: Action) -> float:
        """Returns how far outside the workspace the way and braking after it lead, m."""
        rest = self._rest(position, way)
        return length(rest - np.clip(rest, self.low, self.high))


def _box(workspace: Mapping[str, Sequence[float]]) -> Box:
    try:
        return Box(low=tuple(map(float, workspace["low"])), high=tuple(map(float, workspace["high"])))
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"workspace must be null or like {{low: [0.3, -0.2, 0.0], high: [0.7, 0.2, 0.3]}}, m, got {workspace}"
        ) from None
