"""Push, oriented: bring a block to a point on the table and turn it to face a direction."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from envs.arm.mujoco_env import MAX_DISPLACEMENT, GoalPart
from envs.arm.push import PushEnv
from envs.arm.turning_expert import TurningExpert
from envs.rendering import Marker
from envs.spec import Box

MAX_TURN = math.radians(45)
"""Between the block's yaw at the start and the goal's, rad."""

SUCCESS_ANGLE = math.radians(10)
"""rad."""

UNIT_TOLERANCE = 1e-3
"""How far from 1 the length of a goal's direction may be."""


class PushOrientedEnv(PushEnv):
    """Push, where the goal also asks how the block is turned: within 10 degrees.

    The scene, the sensors and the physics are those of push. The goal's yaw is uniform in the full circle, and the
    block's yaw at the start is uniform within 45 degrees of it. A flat goal is the place of the centre, m, and the
    cosine and the sine of the yaw.
    """

    env_id = "jepa-mpc/PushOriented-v0"
    goal_parts = {
        **PushEnv.goal_parts,
        "block_orientation": GoalPart(Box(low=(-1.0,) * 6, high=(1.0,) * 6), 2),
    }
    distance_units = {**PushEnv.distance_units, "block_orientation": "rad"}

    @property
    def criterion(self) -> str:
        """Says, for people, when a goal counts as reached."""
        return f"{super().criterion}, turned to within {math.degrees(SUCCESS_ANGLE):g} degrees of it"

    def expert(self) -> TurningExpert:
        """Returns a controller that turns the block by pushing it off its centre, and brings it to the goal."""
        return TurningExpert(max_displacement=MAX_DISPLACEMENT)

    def distances(self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Returns what is left between goals: to the place, m, and to the direction, rad."""
        turn = {"block_orientation": self.angle_to_goal(achieved_goal, desired_goal)}
        return super().distances(achieved_goal, desired_goal) | turn

    def angle_to_goal(self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any]) -> NDArray[np.float32]:
        """Returns the angle, rad, by which the blocks of goals `[..., goal_dim]` are turned against each other."""
        (cos, sin), (goal_cos, goal_sin) = (
            np.moveaxis(np.asarray(goal, np.float32)[..., 2:], -1, 0) for goal in (achieved_goal, desired_goal)
        )
        angle: NDArray[np.float32] = np.abs(
            np.arctan2(cos * goal_sin - sin * goal_cos, cos * goal_cos + sin * goal_sin)
        )
        return angle

    def _reached(self, distances: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
        return super()._reached(distances) & (distances["block_orientation"] <= SUCCESS_ANGLE)

    def _sample_goal(self) -> NDArray[np.float32]:
        goal = super()._sample_goal()
        yaw = self.np_random.uniform(-math.pi, math.pi)
        goal[2:] = math.cos(yaw), math.sin(yaw)
        return goal

    def checked_goal(self, goal: Any) -> NDArray[np.float32]:
        """Returns a flat goal as it is, if its direction is one."""
        checked = super().checked_goal(goal)
        if abs(math.hypot(*checked[2:].tolist()) - 1) > UNIT_TOLERANCE:
            raise ValueError(
                f"a goal of {self.env_id} ends with the cosine and the sine of the block's yaw, got {checked[2:]}"
            )
        return checked

    def _goal_yaw(self, desired_goal: NDArray[np.float32], generator: Generator) -> float:  # noqa: ARG002
        return math.atan2(desired_goal[3], desired_goal[2])

    def _draw_yaw(self, desired_goal: NDArray[np.float32]) -> float:
        return math.atan2(desired_goal[3], desired_goal[2]) + self.np_random.uniform(-MAX_TURN, MAX_TURN)

    def _complete(self, sensor: str, part: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the first two columns of the rotation about the vertical whose cosine and sine a goal gives."""
        if sensor != "block_orientation":
            return super()._complete(sensor, part)
        cos, sin = np.moveaxis(part, -1, 0)
        zero = np.zeros_like(cos)
        return np.stack([cos, sin, zero, -sin, cos, zero], axis=-1)

    def goal_from(self, places: Mapping[str, NDArray[Any]], turns: Mapping[str, float]) -> NDArray[np.float32]:
        """Returns the flat goal where people put its place, turned as they turned it."""
        goal = super().goal_from(places, turns)
        yaw = turns["block_position"]
        goal[2:] = math.cos(yaw), math.sin(yaw)
        return goal

    def goal_turns(self) -> dict[str, float]:
        """Returns the goal's yaw, rad."""
        return {"block_position": math.atan2(self.desired_goal[3], self.desired_goal[2])}

    def _markers(self) -> list[Marker]:
        """Returns the goal's place, and a small ball before it on the side that the block should face."""
        (place,) = super()._markers()
        ahead = np.array([*self.desired_goal[2:], 0], np.float32)
        return [place, Marker(position=place.position + self.success_radius * ahead, radius=self.success_radius / 4)]
