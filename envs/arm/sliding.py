"""How a block slides on a table when a smooth, slow finger pushes it.

Where the finger presses along the normal `n` of a side, at the point `q` from the block's centre and so with the lever
`m = q x n`, the limit surface of friction is taken as an ellipsoid. For each metre that the point of contact gives way,
the centre then moves by `1 / (1 + (m / c)**2)` along `n`, and the block turns by `m / c**2` times as much (Lynch and
Mason, "Stable Pushing: Mechanics, Controllability, and Planning", IJRR 1996).

A pose is `[3]`: the centre's place in the plane, m, and the yaw, rad. Points and poses take any leading dimensions.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from envs.arm.push import BLOCK_HALF_SIZE, WORKSPACE

FINGER_RADIUS = 0.015
"""m."""

TURNING_LENGTH = 0.028
"""`c`, the ratio of the largest torque to the largest force that friction bears, m."""

INCREMENT = 0.005
"""Way of the finger between two foreseen poses, m."""

Vectors = NDArray[np.float64]


def unit(angle: ArrayLike) -> Vectors:
    """Returns planar unit vectors, `[..., 2]`, of these angles, rad."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def rotate(vectors: Vectors, angle: ArrayLike) -> Vectors:
    """Turns planar vectors, `[..., 2]`, by angles, rad."""
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = vectors[..., 0], vectors[..., 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def to_world(points: Vectors, block: Vectors) -> Vectors:
    """Returns where points of the block's own frame, `[..., 2]`, are, m."""
    return block[..., :2] + rotate(points, block[..., 2])


def to_block(points: Vectors, block: Vectors) -> Vectors:
    """Returns points, `[..., 2]`, m, in the block's own frame."""
    return rotate(points - block[..., :2], -block[..., 2])


def distance_to_block(points: Vectors, block: Vectors) -> Vectors:
    """Returns how far points, `[..., 2]`, are from the block's sides, m, 0 inside."""
    distance: Vectors = np.linalg.norm(np.maximum(np.abs(to_block(points, block)) - BLOCK_HALF_SIZE, 0), axis=-1)
    return distance


def foresee(block: Vectors, tips: Vectors, directions: Vectors, *, num_increments: int) -> Vectors:
    """Returns where the block goes when the finger goes straight on, for several ways to do it.

    Args:
        block: Its pose now.
        tips: `[num_ways, 2]`, where the finger starts, m.
        directions: `[num_ways, 2]`, unit vectors; the walls of the workspace stop the finger.
        num_increments: How far.

    Returns:
        `[num_increments + 1, num_ways, 3]`, the poses on the way, the present one first.
    """
    low, high = np.array(WORKSPACE.low[:2]), np.array(WORKSPACE.high[:2])
    poses = [np.repeat(block[None], len(tips), axis=0)]
    for _ in range(num_increments):
        tips = np.clip(tips + INCREMENT * directions, low, high)
        poses.append(_give_way(poses[-1], tips))
    return np.stack(poses)


def _give_way(blocks: Vectors, tips: Vectors) -> Vectors:
    """Returns the poses, `[num_ways, 3]`, in which blocks no longer overlap with fingers that came a little nearer."""
    local = to_block(tips, blocks)
    contact = local.clip(-BLOCK_HALF_SIZE, BLOCK_HALF_SIZE)
    distance = np.linalg.norm(contact - local, axis=1)
    normal = (contact - local) / np.maximum(distance, 1e-9)[:, None]
    lever = contact[:, 0] * normal[:, 1] - contact[:, 1] * normal[:, 0]
    advance = np.maximum(0, FINGER_RADIUS - distance) / (1 + (lever / TURNING_LENGTH) ** 2)
    place = blocks[:, :2] + rotate(advance[:, None] * normal, blocks[:, 2])
    return np.column_stack([place, blocks[:, 2] + advance * lever / TURNING_LENGTH**2])
