"""Camera images by casting a ray through every pixel: no graphics library at all."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.rendering.types import Marker
from envs.simulator import mujoco

_SHOWN = np.array([1, 1, 1, 0, 0, 0], np.uint8)
"""The groups of geoms that MuJoCo draws unless it is told otherwise."""


class RaycastRenderer:
    """Draws what OpenGL would, with Lambert's law for the headlight and the directional lights of the model.

    Args:
        model: What is drawn.
        camera: Its name in the model.
        width: Of an image, pixels.
        height: Of an image, pixels.
    """

    def __init__(self, model: Any, *, camera: str, width: int, height: int) -> None:
        self._model = model
        self._camera = model.camera(camera).id
        self._shape = (height, width, 3)
        half = np.tan(np.radians(model.cam_fovy[self._camera]) / 2)
        x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, height / 2 - 0.5 - np.arange(height))
        rays = np.stack([x, y, np.full_like(x, -height / 2 / half)], axis=2).reshape(-1, 3)
        self._rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)

    def image(self, data: Any, *, markers: Sequence[Marker] = ()) -> NDArray[np.uint8]:
        """Returns what the camera sees, `[height, width, 3]`."""
        model, num_rays = self._model, len(self._rays)
        mujoco.mj_camlight(model, data)
        rays = self._rays @ data.cam_xmat[self._camera].reshape(3, 3).T
        geoms, distances, normals = np.empty(num_rays, np.int32), np.empty(num_rays), np.empty((num_rays, 3))
        origin = data.cam_xpos[self._camera]
        mujoco.mj_multiRay(
            model,
            data,
            origin,
            rays.ravel(),
            _SHOWN,
            True,
            -1,
            geoms,
            distances,
            normals.ravel(),
            num_rays,
            model.vis.map.zfar * model.stat.extent,
        )
        light = np.broadcast_to(np.asarray(model.vis.headlight.ambient), (num_rays, 3)) + 0.0
        forward = -data.cam_xmat[self._camera].reshape(3, 3)[:, 2]
        light += np.maximum(-normals @ forward, 0)[:, None] * model.vis.headlight.diffuse
        for index in range(model.nlight):
            light += model.light_ambient[index]
            light += np.maximum(-normals @ data.light_xdir[index], 0)[:, None] * model.light_diffuse[index]
        colors = light * model.geom_rgba[geoms, :3] * (geoms >= 0)[:, None]
        image: NDArray[np.uint8] = np.rint(255 * np.minimum(colors, 1)).astype(np.uint8).reshape(self._shape)
        return image

    def close(self) -> None:
        """Frees nothing: there is nothing to free."""
