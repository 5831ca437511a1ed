"""How the arm explores: it knows the workspace, and where the block is.

The environment moves the tip by `max_displacement * action / max(1, |action|)`, so actions from the whole cube are of
use: a planner will ask for them.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.episodes.exploration import Behaviour, Switching
from envs.spec import BoxActions, TaskSpec
from envs.types import Readings


class Travelling(Switching):
    """Takes up a new behaviour at random moments, and may go to points.

    Args:
        spec: Of an environment whose actions displace an effector.
        min_hold: Fewest steps that a behaviour lasts, at least 1.
        max_hold: Most steps that it lasts.
    """

    def __init__(self, spec: TaskSpec, *, min_hold: int, max_hold: int) -> None:
        super().__init__(spec, min_hold=min_hold, max_hold=max_hold)
        if spec.effector is None:
            raise ValueError(
                f"an exploration that goes to points needs an effector, and {spec.task_id} has none: choose "
                "held_random or smooth_noise"
            )
        if spec.actions != BoxActions.unit(spec.action_dim) or spec.action_dim > len(spec.effector.workspace.low):
            raise ValueError(
                f"an exploration that goes to points needs actions that displace the effector, got {spec.actions}: "
                "choose held_random or smooth_noise"
            )
        self._sensor = spec.effector.sensor
        self._max_displacement = spec.effector.max_displacement
        self._low = np.asarray(spec.effector.workspace.low)[: spec.action_dim]
        self._high = np.asarray(spec.effector.workspace.high)[: spec.action_dim]

    def _pace(self, slowest: float) -> float:
        """Draws a pace as a share of the fastest, evenly on a logarithmic scale."""
        return float(slowest ** self._rng.uniform())

    def _go_to(self, point: NDArray[np.float64], *, speed: float, jitter: float) -> Behaviour:
        """Goes to a point, m, with actions in the cube of half-width `speed`, slows down before it and stays."""

        def action(observation: Readings) -> NDArray[np.float64]:
            way = (point - observation[self._sensor][: len(point)]) / self._max_displacement
            step = way * (speed / max(speed, float(np.abs(way).max())))
            return step + self._rng.normal(0, jitter, len(point))

        return action


class RandomPoints(Travelling):
    """Goes to random points of the workspace and stays there for a while; it sees every place, at every pace.

    Args:
        spec: Of the environment.
        min_hold: Fewest steps for a point, at least 1.
        max_hold: Most steps for a point.
        margin: How far outside the workspace points are drawn, m, at least 0; they are then moved onto its border, so
            that walls, edges and corners are visited too.
        min_speed: Slowest pace, as a share of the fastest, in (0, 1]; each way has its own, drawn on a log scale.
        max_jitter: Largest std of the noise on an action, at least 0; each way has its own.
    """

    def __init__(
        self, spec: TaskSpec, *, min_hold: int, max_hold: int, margin: float, min_speed: float, max_jitter: float
    ) -> None:
        super().__init__(spec, min_hold=min_hold, max_hold=max_hold)
        if margin < 0 or not 0 < min_speed <= 1 or max_jitter < 0:
            raise ValueError(
                "margin must be at least 0, min_speed in (0, 1] and max_jitter at least 0, "
                f"got {margin}, {min_speed} and {max_jitter}"
            )
        self._margin = margin
        self._min_speed = min_speed
        self._max_jitter = max_jitter

    def _next_behaviour(self, observation: Readings) -> tuple[Behaviour, int]:  # noqa: ARG002 - any point will do
        point = self._rng.uniform(self._low - self._margin, self._high + self._margin).clip(self._low, self._high)
        speed = self._pace(self._min_speed)
        return self._go_to(point, speed=speed, jitter=self._rng.uniform(0, self._max_jitter)), self._max_hold


class ContactSeeking(Travelling):
    """Now holds a random action, now goes to a point anywhere, now to a point at or around a block.

    It brings the tip to the block, and draws the points evenly around it: it does not choose where the block goes.
    Where there are several blocks, each is as likely as the others.

    Args:
        spec: Of an environment with an effector and the sensor `block_position`; sensors whose names end so are blocks
            too.
        min_hold: Fewest steps that a behaviour lasts, at least 1.
        max_hold: Most steps that it lasts, unless it goes to a point anywhere.
        max_travel: Most steps for a point anywhere, at least `min_hold`: enough to arrive, and to press on a wall.
        hold_share: Share of held actions among the behaviours, in [0, 1].
        block_share: Share of points at or around the block; what is left are points anywhere.
        block_radius: How far from the block's centre those points may lie, m, above 0.
        margin: How far outside the workspace points anywhere may lie, m, at least 0: the tip then presses on walls and
            corners, as a planner will that does not know them yet.
        min_speed: Slowest pace, as a share of the fastest, in (0, 1]; each way has its own, drawn on a log scale.
        max_jitter: Largest std of the noise on an action, at least 0; each way has its own.
    """

    def __init__(
        self,
        spec: TaskSpec,
        *,
        min_hold: int,
        max_hold: int,
        max_travel: int,
        hold_share: float,
        block_share: float,
        block_radius: float,
        margin: float,
        min_speed: float,
        max_jitter: float,
    ) -> None:
        super().__init__(spec, min_hold=min_hold, max_hold=max_hold)
        if "block_position" not in spec.sensors:
            raise ValueError(
                f"contact-seeking exploration needs the sensor block_position, {spec.task_id} has none: choose "
                "random_points, held_random or smooth_noise"
            )
        self._blocks = [name for name in spec.sensors if name.endswith("block_position")]
        if max_travel < min_hold:
            raise ValueError(f"max_travel must be at least min_hold={min_hold}, got {max_travel}")
        if not min(hold_share, block_share, 1 - hold_share - block_share) >= 0:
            raise ValueError(
                "hold_share and block_share must be at least 0 and sum to at most 1, "
                f"got {hold_share} and {block_share}"
            )
        if block_radius <= 0 or margin < 0 or not 0 < min_speed <= 1 or max_jitter < 0:
            raise ValueError(
                "block_radius must be above 0, margin at least 0, min_speed in (0, 1] and max_jitter at least 0, "
                f"got {block_radius}, {margin}, {min_speed} and {max_jitter}"
            )
        self._max_travel = max_travel
        self._hold_share = hold_share
        self._block_share = block_share
        self._block_radius = block_radius
        self._margin = margin
        self._min_speed = min_speed
        self._max_jitter = max_jitter

    def _next_behaviour(self, observation: Readings) -> tuple[Behaviour, int]:
        choice = self._rng.uniform()
        if choice < self._hold_share:
            return self._hold(), self._max_hold
        point, longest = self._rng.uniform(self._low - self._margin, self._high + self._margin), self._max_travel
        if choice < self._hold_share + self._block_share:
            point, longest = self._around(observation[self._next_block()]), self._max_hold
        speed = self._pace(self._min_speed)
        return self._go_to(point, speed=speed, jitter=self._rng.uniform(0, self._max_jitter)), longest

    def _next_block(self) -> str:
        """Draws a block, if there is a choice."""
        return self._blocks[0 if len(self._blocks) == 1 else self._rng.integers(len(self._blocks))]

    def _around(self, center: NDArray[Any]) -> NDArray[np.float64]:
        """Draws a point evenly from the disc around a centre, at any height that the workspace has."""
        angle = self._rng.uniform(0, 2 * np.pi)
        radius = self._block_radius * np.sqrt(self._rng.uniform())
        point = self._rng.uniform(self._low, self._high)
        point[:2] = center[:2] + radius * np.array([np.cos(angle), np.sin(angle)])
        return point
