"""Push, slippery: how hard the block is to push differs from episode to episode, and nobody can see it."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from envs.alteration import Alteration
from envs.arm.mujoco_env import ASSETS, MAX_DISPLACEMENT, Expert, FlatSensor, Readings
from envs.arm.push import PushEnv, PushExpert
from envs.vision import Vision

MIN_FACTOR, MAX_FACTOR = 0.3, 3.0
"""Between which the factor on the block's friction is drawn, evenly on a logarithmic scale."""

PUSHING_ANGLE = 0.25
"""The expert pushes when the tip is behind the block to within this, rad: a rough block drifts sideways sooner."""

SLIDING = [0, 1, 5]
"""Of the six directions of the block's free joint, those in which it slides on the table: x, y and yaw."""


class PushSlipperyEnv(PushEnv):
    """Push, where each episode draws a factor on the friction of the block's surface, and on the drag that resists it.

    The faster the block is let go, or the farther from its centre it is pushed, the more the factor shows in its way.
    It is recorded as `block_friction_factor` for those who judge, and it is part of the state. It holds for finger and
    table alike: rough on the table alone, a block would tip over.
    """

    env_id = "jepa-mpc/PushSlippery-v0"
    model_file = "push_slippery.xml"
    unseen_sensors = {"block_friction_factor": FlatSensor(1, MAX_FACTOR, "")}

    def __init__(
        self, *, vision: Vision | None = None, render_mode: str | None = None, width: int = 480, height: int = 480
    ) -> None:
        super().__init__(vision=vision, render_mode=render_mode, width=width, height=height)
        first = self.model.joint("block").dofadr[0]
        self._sliding = [first + direction for direction in SLIDING]
        self._drag = self.model.dof_damping[self._sliding].copy()
        self._friction = self.model.pair_friction.copy()
        self.set_friction_factor(1.0)

    def alter(self, alteration: Alteration) -> None:
        """Makes the world otherwise than the model's file says; the block's own factor comes on top."""
        super().alter(alteration)
        self._friction[:, :2] *= alteration.friction
        self.set_friction_factor(self.friction_factor)

    def expert(self) -> Expert:
        """Returns a controller that goes behind the block and pushes it to the goal."""
        return PushExpert(max_displacement=MAX_DISPLACEMENT, pushing_angle=PUSHING_ANGLE)

    @property
    def friction_factor(self) -> float:
        """By which the block's friction differs from that of push."""
        return float(self.data.userdata[0])

    def set_friction_factor(self, factor: float) -> None:
        """Makes the block slide with another friction from now on.

        Raises:
            ValueError: The factor is out of its range.
        """
        if not MIN_FACTOR <= factor <= MAX_FACTOR:
            raise ValueError(f"the factor on the friction must be in [{MIN_FACTOR}, {MAX_FACTOR}], got {factor}")
        self.data.userdata[0] = factor
        self.model.dof_damping[self._sliding] = factor * self._drag
        self.model.pair_friction[:] = factor * self._friction

    def set_state(self, state: NDArray[np.float64]) -> None:
        """Puts the simulator exactly where `get_state` found it, the friction too; the goal stays."""
        super().set_state(state)
        self.set_friction_factor(self.friction_factor)

    def _place_start(self, desired_goal: NDArray[np.float32]) -> None:
        super()._place_start(desired_goal)
        self.set_friction_factor(math.exp(self.np_random.uniform(math.log(MIN_FACTOR), math.log(MAX_FACTOR))))

    def _unseen_readings(self) -> Readings:
        return {"block_friction_factor": self.data.userdata.astype(np.float32)}

    def _sources(self) -> list[Path]:
        return [*super()._sources(), ASSETS / PushEnv.model_file]
