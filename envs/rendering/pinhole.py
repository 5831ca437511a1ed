"""A pinhole camera as OpenGL has it: it looks along -z of its own frame, x is to the right and y up."""

import numpy as np
from numpy.typing import NDArray

_NEAR = 1e-6
"""What is nearer to the camera's plane than this, m, has no place in the image."""


class Pinhole:
    """Where the pixels of an image look, and which of them may show a thing.

    Args:
        fovy: Vertical field of view, rad.
        width: Of the image, pixels.
        height: Of the image, pixels.
    """

    def __init__(self, *, fovy: float, width: int, height: int) -> None:
        self._size = np.array([width, height])
        self._center = self._size / 2
        self._focal_length = height / 2 / np.tan(fovy / 2)  # pixels

    def rays(self) -> NDArray[np.float64]:
        """Returns the directions of all pixels' centres, `[height * width, 3]`, of length 1, from the top row down."""
        width, height = self._size
        right, up = np.meshgrid(np.arange(0.5, width) - width / 2, height / 2 - np.arange(0.5, height))
        rays = np.stack([right, up, np.full_like(up, -self._focal_length)], axis=2).reshape(-1, 3)
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        return rays

    def pixels(self, corners: NDArray[np.float64]) -> NDArray[np.intp]:
        """Returns every pixel whose ray may meet the convex hull of a thing's corners.

        Args:
            corners: `[num_things, num_corners, 3]`, m, in the camera's frame.

        Returns:
            `[num_pixels]`, ascending indices into `rays()`.
        """
        depth = -corners[:, :, 2:]
        offsets = corners[:, :, :2] * (self._focal_length, -self._focal_length)  # pixels times depth, from the center
        edges = self._center * depth
        beside = (offsets > edges).all(axis=1) | (offsets < -edges).all(axis=1)
        inside = ~beside.any(axis=1) & (depth > _NEAR).any(axis=(1, 2))
        offsets, depth = offsets[inside], depth[inside]
        places = offsets / np.maximum(depth, _NEAR) + self._center
        low, high = places.min(axis=1) - 0.5, places.max(axis=1) + 0.5
        anywhere = (depth < _NEAR).any(axis=(1, 2))
        low[anywhere], high[anywhere] = 0, self._size
        first = np.ceil(low.clip(0, self._size)).astype(int).tolist()
        end = np.floor(high.clip(0, self._size)).astype(int).tolist()
        shown = np.zeros(self._size[::-1], bool)
        for (left, top), (right, bottom) in zip(first, end, strict=True):
            shown[top:bottom, left:right] = True
        return np.flatnonzero(shown)
