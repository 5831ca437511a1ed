"""Quaternions, as MuJoCo writes them: the real part first."""

import math

import numpy as np
from numpy.typing import NDArray

from envs.simulator import mujoco


def upright(yaw: float) -> tuple[float, float, float, float]:
    """Returns the quaternion of a turn about the vertical, rad."""
    return math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)


def rotation_matrix(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the matrix of a quaternion `[4]`: `[3, 3]`, its columns the turned axes."""
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quaternion)
    return matrix.reshape(3, 3)
