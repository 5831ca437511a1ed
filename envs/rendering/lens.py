"""Where in a camera's picture a point of the world lies."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lens:
    """A pinhole camera with a square picture.

    Attributes:
        position: `[3]`, m.
        axes: `[3, 3]`, the camera's right, up and backwards as columns, in the world's frame.
        fovy: Angle between the lower and the upper edge of the picture, degrees.
    """

    position: NDArray[np.float64]
    axes: NDArray[np.float64]
    fovy: float

    @classmethod
    def of(cls, model: Any, data: Any, camera: str) -> "Lens":
        """Returns a camera of a simulation, as it was when it last took a picture."""
        index = model.camera(camera).id
        return cls(
            position=data.cam_xpos[index].copy(),
            axes=data.cam_xmat[index].reshape(3, 3).copy(),
            fovy=float(model.cam_fovy[index]),
        )

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns where points `[..., 3]`, m, are seen: `[..., 2]`, x to the right and y downwards.

        -1 and 1 are the picture's edges. A point that is not before the camera is nowhere: NaN.
        """
        right, up, backwards = np.moveaxis((points - self.position) @ self.axes, -1, 0)
        reach = np.where(backwards < 0, -backwards, np.nan) * np.tan(np.radians(self.fovy) / 2)
        return np.stack([right / reach, -up / reach], axis=-1)
