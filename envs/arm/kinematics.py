"""Differential inverse kinematics: which joint step moves the tip by a given displacement, finger kept vertical."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv

from envs.simulator import mujoco

NUM_JOINTS = 7

HOME = np.array([0.0, -0.1, 0.0, -2.3, 0.0, 2.2, 0.785])
"""The posture that the redundant joints are drawn to, rad."""

POSTURE_GAIN = 0.03
"""Share of the way to the home posture that is covered in a control step, as far as the tip allows."""

AXIS_WEIGHT = 0.3
"""What a radian of tilt counts against a metre of position."""

DAMPING = 1e-4
"""Keeps the solution bounded near singular postures, m^2."""

PLACING_ITERATIONS = 20
PLACING_TOLERANCE = 1e-5


class TipControl:
    """Damped least squares on five rows: the tip's position and the two angles by which the finger leans.

    With the Jacobian `J` `[5, 7]`, the task error `e` and the step to the home posture `n`, the joint step is
    `n + J.T @ inv(J @ J.T + damping * I) @ (e - J @ n)`; the rotation about the finger's axis is left free.

    It reads the frames in `data`, so they must be fresh: call `refresh` after whatever changed the joints.

    Args:
        model: An arm with joints 0 to 6 first and a site `tip` whose z-axis points along the finger.
        data: The state that is read, and moved by `place`.
    """

    def __init__(self, model: Any, data: Any) -> None:
        self._model = model
        self._data = data
        self._site = model.site("tip").id
        self._tip = data.site_xpos[self._site]
        self._frame = data.site_xmat[self._site]
        self._joints = data.qpos[:NUM_JOINTS]
        self._limits = model.jnt_range[:NUM_JOINTS].T.copy()
        self._speed_limits = model.actuator_ctrlrange[:NUM_JOINTS, 1]
        full_jacobian = np.zeros((6, model.nv))
        self._position_jacobian = full_jacobian[:3]
        self._rotation_jacobian = full_jacobian[3:]
        self._lean_jacobian = full_jacobian[3:5]
        self._jacobian = full_jacobian[:5, :NUM_JOINTS]
        self._damping = DAMPING * np.eye(5)
        self._error = np.zeros(5)

    def refresh(self) -> None:
        """Brings the frames and the quantities behind the Jacobian up to the joints."""
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)

    def joint_step(self, displacement: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the joint step `[7]`, rad, that moves the tip by `displacement` `[3]`, m, and rights the finger."""
        mujoco.mj_jacSite(self._model, self._data, self._position_jacobian, self._rotation_jacobian, self._site)
        self._lean_jacobian *= AXIS_WEIGHT
        error = self._error
        error[:3] = displacement
        error[3] = -AXIS_WEIGHT * self._frame[5]  # the z-axis crossed with straight down
        error[4] = AXIS_WEIGHT * self._frame[2]

        jacobian = self._jacobian
        posture: NDArray[np.float64] = POSTURE_GAIN * (HOME - self._joints)
        solution = dposv(jacobian @ jacobian.T + self._damping, error - jacobian @ posture)[1]
        step: NDArray[np.float64] = posture + jacobian.T @ solution
        return step

    def joint_velocity(self, displacement: NDArray[np.float64], *, duration: float) -> NDArray[np.float64]:
        """Returns the joint velocities `[7]`, rad/s, that cover `displacement` `[3]`, m, in `duration`, s.

        Where a joint would be too fast, all are slowed by the same factor: the tip falls short and keeps its direction.
        """
        velocity = self.joint_step(displacement) / duration
        excess: float = np.abs(velocity / self._speed_limits).max()
        return velocity / max(1.0, excess)

    def place(self, position: NDArray[np.float64]) -> None:
        """Moves the joints, without physics, from the home posture to where the tip is at `position` `[3]`, m."""
        self._joints[:] = HOME
        self.refresh()
        for _ in range(PLACING_ITERATIONS):
            displacement = position - self._tip
            if displacement @ displacement < PLACING_TOLERANCE**2:
                break
            np.clip(self._joints + self.joint_step(displacement), *self._limits, out=self._joints)
            self.refresh()
