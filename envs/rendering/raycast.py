"""Camera images by casting a ray through every pixel: no graphics library at all."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.rendering.lighting import Lighting
from envs.rendering.pinhole import Pinhole
from envs.rendering.types import MARKER_COLOR, Marker, NothingRenders
from envs.simulator import mujoco

_NUM_SHOWN_GROUPS = 3
"""MuJoCo draws the geoms of groups 0, 1 and 2 unless it is told otherwise."""

_HIDDEN_GROUP = 5

_SHOWN = (np.arange(6) < _NUM_SHOWN_GROUPS).astype(np.uint8)

_UNSET_COLOR = (0.5, 0.5, 0.5, 1.0)
"""The colour of a geom whose material colours it."""

_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
"""Of a box with half sides of 1."""


@dataclass
class _Picture:
    """Colours `[num_pixels, 3]`, uint8, and distances `[num_pixels]`, m, from the camera; infinite where nothing is."""

    colors: NDArray[np.uint8]
    distances: NDArray[np.float64]


class RaycastRenderer:
    """Draws the geoms that OpenGL would draw, where and in the colours in which it would.

    Rays that may meet what moves are cast at it alone; what keeps still lies behind, and is drawn only once if the
    camera keeps still too.

    Args:
        model: What is drawn.
        camera: Its name in the model.
        width: Of an image, pixels.
        height: Of an image, pixels.

    Raises:
        ValueError: The model has textures, translucent geoms, or lights that are not directional.
    """

    def __init__(self, model: Any, *, camera: str, width: int, height: int) -> None:
        self._model = model
        self._lighting = Lighting(model)
        self._colors = _geom_colors(model)
        self._camera = model.camera(camera).id
        self._pinhole = Pinhole(fovy=np.radians(model.cam_fovy[self._camera]), width=width, height=height)
        self._rays = self._pinhole.rays()
        self._shape = (height, width, 3)
        moves = _moving_bodies(model)[model.geom_bodyid]
        self._moving = np.flatnonzero(moves & (model.geom_group < _NUM_SHOWN_GROUPS))
        boxes = model.geom_aabb[self._moving, None]
        self._corners = boxes[..., :3] + boxes[..., 3:] * _CORNERS  # [num_moving, 8, 3], in the geoms' frames
        self._still_model = copy.copy(model)
        self._still_model.geom_group[self._moving] = _HIDDEN_GROUP
        self._keeps_still = _keeps_still(model, self._camera)
        self._has_mocap = model.nmocap > 0  # mujoco counts bodies that are moved by hand among what stands still
        self._still: _Picture | None = None

    def image(self, data: Any, *, markers: Sequence[Marker] = ()) -> NDArray[np.uint8]:
        """Returns what the camera sees, `[height, width, 3]`."""
        mujoco.mj_camlight(self._model, data)  # kinematics alone leaves cameras and lights where they were
        if self._still is None or not self._keeps_still:
            self._still = self._draw_still(data)
        picture = _Picture(self._still.colors.copy(), self._still.distances.copy())
        self._draw(data, picture, model=self._model, pixels=self._pixels_of_moving(data), with_static=self._has_mocap)
        origin = data.cam_xpos[self._camera]
        for marker in sorted(markers, key=lambda marker: -float(np.linalg.norm(marker.position - origin))):
            self._draw_marker(data, picture, marker)
        return picture.colors.reshape(self._shape)

    def close(self) -> None:
        """Frees nothing: there is nothing that Python does not free."""

    def _draw_still(self, data: Any) -> _Picture:
        num_pixels = len(self._rays)
        picture = _Picture(np.zeros((num_pixels, 3), np.uint8), np.full(num_pixels, np.inf))
        self._draw(data, picture, model=self._still_model, pixels=np.arange(num_pixels), with_static=True)
        return picture

    def _draw(self, data: Any, picture: _Picture, *, model: Any, pixels: NDArray[np.intp], with_static: bool) -> None:
        """Draws a model's geoms into those pixels, where nothing in the picture is nearer."""
        count = len(pixels)
        rays = self._rays[pixels] @ data.cam_xmat[self._camera].reshape(3, 3).T
        geoms, distances, normals = np.empty(count, np.int32), np.empty(count), np.empty((count, 3))
        origin, no_body, no_limit = data.cam_xpos[self._camera], -1, 1e10
        flat = (rays.reshape(-1), _SHOWN, with_static, no_body, geoms, distances, normals.reshape(-1), count, no_limit)
        mujoco.mj_multiRay(model, data, origin, *flat)
        seen = np.flatnonzero((geoms >= 0) & (distances < picture.distances[pixels]))
        where, colors = pixels[seen], self._colors[geoms[seen]]
        shades = self._lighting.shade(colors, normals[seen], data=data, camera=self._camera)
        picture.colors[where] = shades + 0.5
        picture.distances[where] = distances[seen]

    def _pixels_of_moving(self, data: Any) -> NDArray[np.intp]:
        """Returns the pixels that may show a geom that moves."""
        view = data.cam_xmat[self._camera].reshape(3, 3)
        turns = view.T @ data.geom_xmat[self._moving].reshape(-1, 3, 3)
        places = (data.geom_xpos[self._moving] - data.cam_xpos[self._camera]) @ view
        return self._pinhole.pixels(self._corners @ turns.swapaxes(1, 2) + places[:, None])

    def _draw_marker(self, data: Any, picture: _Picture, marker: Marker) -> None:
        """Blends a ball into the picture."""
        rays = self._rays @ data.cam_xmat[self._camera].reshape(3, 3).T
        center = marker.position - data.cam_xpos[self._camera]
        along = rays @ center
        squared = along**2 - center @ center + marker.radius**2
        distances = along - np.sqrt(np.maximum(squared, 0))
        where = np.flatnonzero((squared > 0) & (distances > 0) & (distances < picture.distances))
        normals = (rays[where] * distances[where, None] - center) / marker.radius
        colors = np.broadcast_to(np.array(MARKER_COLOR[:3], np.float32), normals.shape)
        shades = self._lighting.shade(colors, normals, data=data, camera=self._camera)
        seen_through = (1 - MARKER_COLOR[3]) ** 2  # MuJoCo blends what is translucent twice
        picture.colors[where] = (1 - seen_through) * shades + seen_through * picture.colors[where] + 0.5


def _geom_colors(model: Any) -> NDArray[np.float32]:
    """Returns the colours of all geoms, `[num_geoms, 3]`, in 0 to 1."""
    colors = model.geom_rgba.copy()
    from_material = (model.geom_matid >= 0) & (colors == _UNSET_COLOR).all(axis=1)
    colors[from_material] = model.mat_rgba[model.geom_matid[from_material]]
    shown = model.geom_group < _NUM_SHOWN_GROUPS
    if model.ntex or (colors[shown, 3] < 1).any():
        raise NothingRenders("raycast draws neither textures nor translucent geoms, and the model has some: use OpenGL")
    plain: NDArray[np.float32] = colors[:, :3]
    return plain


def _keeps_still(model: Any, camera: int) -> bool:
    """Whether neither the camera nor a light ever moves."""
    fixed = int(mujoco.mjtCamLight.mjCAMLIGHT_FIXED)
    modes = [model.cam_mode[camera], *model.light_mode]
    bodies = [model.cam_bodyid[camera], *model.light_bodyid]
    return all(mode == fixed for mode in modes) and not _moving_bodies(model)[bodies].any()


def _moving_bodies(model: Any) -> NDArray[np.bool_]:
    """Returns which bodies move: by joints, by hand, or with a parent that is moved by hand, `[num_bodies]`."""
    moves: NDArray[np.bool_] = (model.body_weldid != 0) | (model.body_mocapid >= 0)
    for body, parent in enumerate(model.body_parentid):
        moves[body] |= moves[parent]
    return moves
