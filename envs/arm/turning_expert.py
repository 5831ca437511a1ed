"""An expert that turns a block by pushing it off its centre: it foresees pushes and takes the best."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.arm.push import BLOCK_AREA, BLOCK_HALF_SIZE, CIRCLE_RADIUS, WORKSPACE
from envs.arm.sliding import (
    FINGER_RADIUS,
    INCREMENT,
    Vectors,
    distance_to_block,
    foresee,
    rotate,
    to_block,
    to_world,
    unit,
)

METRES_PER_RADIAN = 0.2
"""What an error of angle counts against one of place."""

PRICE_OF_WAY = 0.1
"""What a metre of the tip's way counts against a metre of error."""

PRICE_OUTSIDE = 5.0
"""What a metre outside its area, where the tip cannot get behind the block, counts against a metre of error."""

ARRIVED = 0.012
"""The expert rests at this error, m."""

MIN_GAIN = 0.002
"""A push goes on while it will make the error smaller by so much, and begins if by twice as much, m."""

MAX_PUSH = 0.30
"""Longest push that is foreseen, m."""

GAP = 0.006
"""Between the finger and a side of the block where a push begins, m."""

START_TOLERANCE = 0.004
"""The tip is where a push begins when it is this near, m."""

SAFE_DISTANCE = 0.003
"""Between the finger and the block when the tip walks past it, m."""

SIDES = np.repeat([0.0, 0.5 * math.pi, math.pi, 1.5 * math.pi], 9)
"""Angles of the block's sides at which a push may begin, rad."""

OFFSETS = np.tile(np.linspace(-0.027, 0.027, 9), 4)
"""How far from the middle of that side, m."""

SIDEWAYS = np.radians([-40, -20, -10, 0, 10, 20, 40])
"""By how much a push under way may change its direction, rad."""


@dataclass(frozen=True)
class Start:
    """Where a push begins, in the block's own frame.

    Attributes:
        point: Of the tip, `[2]`, m.
        heading: In which the tip then goes, rad.
    """

    point: Vectors
    heading: float


class TurningExpert:
    """Walks to where the best push begins, pushes as long as that helps, and looks for the next one.

    Args:
        max_displacement: Longest way of the tip in one control step, m.
    """

    def __init__(self, *, max_displacement: float) -> None:
        self._max_displacement = max_displacement
        self._low, self._high = np.array(WORKSPACE.low[:2]), np.array(WORKSPACE.high[:2])
        self._goal = np.zeros(3)
        self._start: Start | None = None
        self._heading: float | None = None

    def reset(self, goal: Mapping[str, NDArray[np.float32]], *, seed: int) -> None:  # noqa: ARG002
        """Starts an episode; nothing is random, so the seed has no effect."""
        self._goal = _pose(goal)
        self._start = self._heading = None

    def act(self, observation: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Returns the next planar displacement."""
        block, tip = _pose(observation), observation["tip"][:2].astype(np.float64)
        action = self._displacement(block, tip) / self._max_displacement
        return (action / max(1.0, math.hypot(*action))).astype(np.float32)

    def _displacement(self, block: Vectors, tip: Vectors) -> Vectors:
        if self._errors(block) < ARRIVED:
            self._start = self._heading = None
            return np.zeros(2)
        if self._heading is None:
            self._start = self._start or self._best_start(block, tip)
            if self._start is None:
                return np.zeros(2)
            point = to_world(self._start.point, block)
            if math.dist(point, tip) > START_TOLERANCE:
                return self._walk(block, tip, point)
            self._heading = block[2] + self._start.heading
        return self._push(block, tip, self._heading)

    def _push(self, block: Vectors, tip: Vectors, heading: float) -> Vectors:
        """Returns the next displacement of the push under way, or none at all where it has done what it can."""
        headings = heading + SIDEWAYS
        best = self._best_push(block, np.repeat(tip[None], len(headings), axis=0), headings, min_gain=MIN_GAIN)
        if best is None:
            self._start = self._heading = None
            return np.zeros(2)
        index, length = best
        self._heading = headings[index]
        return unit(headings[index]) * min(self._max_displacement, length)

    def _best_start(self, block: Vectors, tip: Vectors) -> Start | None:
        """Returns where the best push begins, or None if no push helps."""
        outward = unit(SIDES)
        points = (BLOCK_HALF_SIZE + FINGER_RADIUS + GAP) * outward + OFFSETS[:, None] * rotate(outward, math.pi / 2)
        world = to_world(points, block)
        angles = _angle(to_block(tip, block), outward)
        walk = np.maximum(np.linalg.norm(world - tip, axis=1), CIRCLE_RADIUS * np.abs(angles))
        walk[((world < self._low) | (world > self._high)).any(axis=1)] = np.inf
        best = self._best_push(block, world, block[2] + SIDES + math.pi, min_gain=2 * MIN_GAIN, walk=walk)
        return None if best is None else Start(point=points[best[0]], heading=SIDES[best[0]] + math.pi)

    def _best_push(
        self,
        block: Vectors,
        tips: Vectors,
        headings: Vectors,
        *,
        min_gain: float,
        walk: Vectors | float = 0.0,
    ) -> tuple[int, float] | None:
        """Returns index and length, m, of the push with the least error and way, or None if none gains enough."""
        errors = self._errors(foresee(block, tips, unit(headings), num_increments=round(MAX_PUSH / INCREMENT)))
        lengths = INCREMENT * np.arange(len(errors))
        scores = errors + PRICE_OF_WAY * (lengths[:, None] + walk)  # [num_lengths, num_ways]
        scores[errors > self._errors(block) - min_gain] = np.inf
        length, index = np.unravel_index(scores.argmin(), scores.shape)
        return (int(index), float(lengths[length])) if np.isfinite(scores[length, index]) else None

    def _walk(self, block: Vectors, tip: Vectors, point: Vectors) -> Vectors:
        """Returns a displacement towards a point, straight if the block is not in the way, and else around it."""
        if _is_free(tip + np.linspace(0, 1, 20)[:, None] * (point - tip), block):
            return point - tip
        center = block[:2]
        radius = math.dist(tip, center)
        outward = (tip - center) / radius
        if distance_to_block(tip, block) < FINGER_RADIUS + 2 * SAFE_DISTANCE:
            return outward * (CIRCLE_RADIUS - radius)
        angle = float(_angle(outward, point - center))
        other_way = angle - math.copysign(2 * math.pi, angle)
        if not self._fits(block, outward, angle) and self._fits(block, outward, other_way):
            angle = other_way
        turn = math.copysign(min(abs(angle), self._max_displacement / CIRCLE_RADIUS), angle)
        return center + CIRCLE_RADIUS * rotate(outward, turn) - tip

    def _fits(self, block: Vectors, outward: Vectors, angle: float) -> bool:
        """Returns whether there is room for the tip on an arc around the block, between the block and the walls."""
        arc = block[:2] + CIRCLE_RADIUS * rotate(outward, np.linspace(0, angle, 24))
        return _is_free(arc.clip(self._low, self._high), block)

    def _errors(self, poses: Vectors) -> Vectors:
        """Returns how bad poses `[..., 3]` are, m."""
        place = poses[..., :2]
        way = np.linalg.norm(place - self._goal[:2], axis=-1)
        turn = (poses[..., 2] - self._goal[2] + math.pi) % (2 * math.pi) - math.pi
        outside = np.abs(place - place.clip(BLOCK_AREA.low[:2], BLOCK_AREA.high[:2])).sum(axis=-1)
        errors: Vectors = np.hypot(way, METRES_PER_RADIAN * turn) + PRICE_OUTSIDE * outside
        return errors


def _is_free(points: Vectors, block: Vectors) -> bool:
    return bool(distance_to_block(points, block).min() > FINGER_RADIUS + SAFE_DISTANCE)


def _angle(start: Vectors, end: Vectors) -> Vectors:
    """Returns the signed angle from one planar vector to others, `[..., 2]`, rad."""
    angle: Vectors = np.arctan2(start[0] * end[..., 1] - start[1] * end[..., 0], end @ start)
    return angle


def _pose(readings: Mapping[str, NDArray[np.float32]]) -> Vectors:
    """Returns the pose of the block that sensors read, or that a goal asks for."""
    cos, sin = readings["block_orientation"][:2].astype(np.float64)
    return np.array([*readings["block_position"][:2].astype(np.float64), math.atan2(sin, cos)])
