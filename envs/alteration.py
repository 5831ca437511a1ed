"""A world that is not quite the one that was learned in."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from envs.rotations import rotation_matrix, upright
from envs.simulator import mujoco
from jepa_mpc.ranges import check_number


@dataclass(frozen=True)
class Alteration:
    """What is otherwise than in the world as it is made.

    Attributes:
        camera_shift: How far every camera that stands still is moved to its right, m.
        camera_turn: How far every camera that stands still is turned about the vertical, degrees.
        light: Factor on all light.
        tint: By how much what stands still is redder and less blue, as a share of full colour.
        mass: Factor on the mass of everything that lies loose.
        friction: Factor on the sliding friction of every contact.

    Raises:
        ValueError: A factor is not above 0, or a number is not finite.
    """

    camera_shift: float
    camera_turn: float
    light: float
    tint: float
    mass: float
    friction: float

    def __post_init__(self) -> None:
        for name in ("light", "mass", "friction"):
            check_number(name, getattr(self, name), above=0)
        for name in ("camera_shift", "camera_turn"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number, got {getattr(self, name)}")
        check_number("tint", self.tint, least=0, most=1)

    def apply(self, model: Any) -> None:
        """Changes a MuJoCo model; renderers that were made of it before do not know."""
        for index in np.flatnonzero(model.cam_bodyid == 0):
            frame = rotation_matrix(model.cam_quat[index])
            model.cam_pos[index] += self.camera_shift * frame[:, 0]
            mujoco.mju_mulQuat(
                model.cam_quat[index], np.array(upright(math.radians(self.camera_turn))), model.cam_quat[index].copy()
            )
        headlight = model.vis.headlight
        for lights in (headlight.ambient, headlight.diffuse, model.light_ambient, model.light_diffuse):
            lights *= self.light
        still = model.body_weldid[model.geom_bodyid] == 0
        model.geom_rgba[still, :3] = np.clip(model.geom_rgba[still, :3] + self.tint * np.array([1, 0, -1]), 0, 1)
        loose = np.flatnonzero([model.jnt_type[model.body_jntadr[body]] == _FREE for body in range(1, model.nbody)]) + 1
        loose = loose[model.body_jntnum[loose] > 0]
        model.body_mass[loose] *= self.mass
        model.body_inertia[loose] *= self.mass
        model.pair_friction[:, :2] *= self.friction
        mujoco.mj_setConst(model, mujoco.MjData(model))  # what MuJoCo has worked out from masses


_FREE = int(mujoco.mjtJoint.mjJNT_FREE)
