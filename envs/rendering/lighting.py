"""The light of MuJoCo's scenes, without textures, shadows and highlights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.rendering.types import NothingRenders
from envs.simulator import mujoco

_DIRECTIONAL = int(mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)


class Lighting:
    """Lambert's law for the headlight and the directional lights of a model, as OpenGL's fixed pipeline computes it.

    A surface of colour `c` and normal `n` shows `min(1, c * sum(ambient + diffuse * max(0, -n @ direction)))`; the
    headlight shines where the camera looks.

    Args:
        model: Where the lights are.

    Raises:
        NothingRenders: The model has a light that is not directional.
    """

    def __init__(self, model: Any) -> None:
        if other := [index for index in range(model.nlight) if model.light_type[index] != _DIRECTIONAL]:
            raise NothingRenders(
                f"raycast knows directional lights only, light {other[0]} is of another type: use OpenGL"
            )
        headlight = model.vis.headlight
        self._active = np.flatnonzero(model.light_active)
        self._diffuse = np.stack([headlight.active * headlight.diffuse, *model.light_diffuse[self._active]])
        self._ambient = headlight.active * headlight.ambient + model.light_ambient[self._active].sum(axis=0)

    def shade(
        self, colors: NDArray[np.float32], normals: NDArray[np.float64], *, data: Any, camera: int
    ) -> NDArray[np.float32]:
        """Returns what the camera sees of lit surfaces, `[num_points, 3]` in 0 to 255.

        Args:
            colors: `[num_points, 3]`, in 0 to 1.
            normals: `[num_points, 3]`, of length 1, outward.
            data: Where lights and camera are.
            camera: Its number in the model.
        """
        directions = np.concatenate([-data.cam_xmat[camera].reshape(3, 3)[:, 2:].T, data.light_xdir[self._active]])
        light = np.maximum(normals @ -directions.T, 0).astype(np.float32) @ self._diffuse  # [num_points, 3]
        light += self._ambient
        light *= 255 * colors
        shades: NDArray[np.float32] = np.minimum(light, 255, out=light)
        return shades
