"""An expert that pushes one block after the other, each around the other."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from envs.arm.push import ARRIVED, BLOCK_AREA, CIRCLE_RADIUS, CONTACT_DISTANCE, PUSHING_ANGLE, WORKSPACE
from envs.arm.sliding import Vectors, rotate

DISTURBED = 0.03
"""A block that was brought to its goal is taken up again when it is this far from it, m."""

BLOCK_CLEARANCE = 0.11
"""Between the centres of two blocks that pass each other, m."""

TIP_CLEARANCE = 0.07
"""Between the tip and the centre of a block that it passes, m."""

PASSING = 0.02
"""By how much more than it must something keeps clear of what it goes around, m."""


class TwoExpert:
    """Takes up the block whose push begins nearest, brings it to its goal, and looks for the next that is not there.

    Args:
        max_displacement: Longest way of the tip in one control step, m.
    """

    def __init__(self, *, max_displacement: float) -> None:
        self._max_displacement = max_displacement
        self._low, self._high = np.array(WORKSPACE.low[:2]), np.array(WORKSPACE.high[:2])
        self._goals: dict[str, Vectors] = {}
        self._current: str | None = None

    def reset(self, goal: Mapping[str, NDArray[np.float32]], *, seed: int) -> None:  # noqa: ARG002
        """Starts an episode; nothing is random, so the seed has no effect."""
        self._goals = {name: place[:2].astype(np.float64) for name, place in goal.items()}
        self._current = None

    def act(self, observation: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Returns the next planar displacement."""
        blocks = {
            name: observation[name][:2].astype(np.float64) for name in ("block_position", "second_block_position")
        }
        tip = observation["tip"][:2].astype(np.float64)
        left = {name: math.dist(goal, blocks[name]) for name, goal in self._goals.items()}
        if self._current is not None and left[self._current] < ARRIVED:
            self._current = None
        if self._current is None:
            todo = [name for name, distance in left.items() if distance > DISTURBED]
            if not todo:
                return np.zeros(2, np.float32)
            self._current = min(todo, key=lambda name: math.dist(tip, blocks[name]))
        (other,) = (place for name, place in blocks.items() if name != self._current)
        action = self._push(tip, blocks[self._current], self._goals[self._current], other) / self._max_displacement
        return (action / max(1.0, math.hypot(*action))).astype(np.float32)

    def _push(self, tip: Vectors, block: Vectors, goal: Vectors, other: Vectors) -> Vectors:
        """Returns the next displacement that brings a block to its goal, around the other."""
        low, high = np.array(BLOCK_AREA.low[:2]), np.array(BLOCK_AREA.high[:2])
        aim = _around(block, goal, other, clearance=BLOCK_CLEARANCE, low=low, high=high)
        distance = math.dist(aim, block)
        direction = (aim - block) / distance
        relative = tip - block
        angle = _angle(relative, -direction)
        if abs(angle) > PUSHING_ANGLE:
            return self._behind(tip, block, angle, other)
        lateral = relative - (relative @ direction) * direction
        gap = -(relative @ direction) - CONTACT_DISTANCE
        if gap > CIRCLE_RADIUS:
            start = block - CIRCLE_RADIUS * direction
            return _around(tip, start, other, clearance=TIP_CLEARANCE, low=self._low, high=self._high) - tip
        return (gap + distance) * direction - 1.5 * lateral

    def _behind(self, tip: Vectors, block: Vectors, angle: float, other: Vectors) -> Vectors:
        """Returns the displacement on a circle about a block that shortens `angle`, rad, or else goes the other way."""
        outward = (tip - block) / math.dist(tip, block)
        other_way = angle - math.copysign(2 * math.pi, angle)
        if not self._fits(block, outward, angle, other) and self._fits(block, outward, other_way, other):
            angle = other_way
        turn = math.copysign(min(abs(angle), self._max_displacement / CIRCLE_RADIUS), angle)
        point = block + CIRCLE_RADIUS * rotate(outward, turn)
        return _around(tip, point, other, clearance=TIP_CLEARANCE, low=self._low, high=self._high) - tip

    def _fits(self, block: Vectors, outward: Vectors, angle: float, other: Vectors) -> bool:
        """Returns whether there is room for the tip on an arc around a block, between the other one and the walls."""
        arc = block + CIRCLE_RADIUS * rotate(outward, np.linspace(0, angle, 24))
        inside = ((arc >= self._low) & (arc <= self._high)).all()
        return bool(inside and np.linalg.norm(arc - other, axis=-1).min() > TIP_CLEARANCE)


def _around(
    start: Vectors, end: Vectors, obstacle: Vectors, *, clearance: float, low: Vectors, high: Vectors
) -> Vectors:
    """Returns where to go first to get from one point to another: there, or to a point beside what is in the way."""
    way = end - start
    length = math.hypot(*way)
    along = float((obstacle - start) @ way) / length**2 if length else 0.0
    if not 0 < along < 1 or math.dist(start + along * way, obstacle) >= clearance:
        return end
    across = np.array([-way[1], way[0]]) / length
    side = math.copysign(1.0, float((start - obstacle) @ across))
    points = [obstacle + sign * (clearance + PASSING) * across for sign in (side, -side)]
    inside = [point for point in points if ((low <= point) & (point <= high)).all()]
    return inside[0] if inside else points[0]


def _angle(start: Vectors, end: Vectors) -> float:
    """Returns the signed angle from one planar vector to another, rad."""
    return math.atan2(start[0] * end[1] - start[1] * end[0], start @ end)
