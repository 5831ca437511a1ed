"""Reach: bring the tip to a point in space."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from envs.arm.mujoco_env import ARM_SENSORS, MAX_DISPLACEMENT, Expert, GoalPart, MujocoEnv
from envs.spec import Box

WORKSPACE = Box(low=(0.35, -0.25, 0.05), high=(0.65, 0.25, 0.30))
"""Where the tip may go, and where goals lie, m."""

MIN_START_DISTANCE = 0.10
"""Between the tip at the start and the goal, m."""

SUCCESS_RADIUS = 0.02
"""m."""


class ReachEnv(MujocoEnv):
    """The tip starts at rest anywhere in the workspace; the goal is a point in it, at least 10 cm away."""

    env_id = "jepa-mpc/Reach-v0"
    model_file = "reach.xml"
    sensors = ARM_SENSORS
    workspace = WORKSPACE
    goal_parts = {"tip": GoalPart(WORKSPACE, 3)}
    distance_units = {"tip": "m"}
    success_radius = SUCCESS_RADIUS

    def expert(self) -> Expert:
        """Returns a controller that goes straight to the goal."""
        return ReachExpert(max_displacement=MAX_DISPLACEMENT)

    def _place_start(self, desired_goal: NDArray[np.float32]) -> None:
        while True:
            position = self.np_random.uniform(self.workspace.low, self.workspace.high)
            if np.linalg.norm(position - desired_goal) >= MIN_START_DISTANCE:
                break
        self.control.place(position)

    def _place_goal(self, desired_goal: NDArray[np.float32]) -> None:
        self.control.place(desired_goal.astype(np.float64))

    def _read_objects(self, observation: NDArray[np.float32]) -> None:
        """There are none."""


class ReachExpert:
    """Goes straight to the goal and stays there.

    Args:
        max_displacement: Longest way of the tip in one control step, m.
    """

    def __init__(self, *, max_displacement: float) -> None:
        self._max_displacement = max_displacement
        self._goal = np.zeros(3)

    def reset(self, goal: Mapping[str, NDArray[np.float32]], *, seed: int) -> None:  # noqa: ARG002
        """Starts an episode; nothing is random, so the seed has no effect."""
        self._goal = goal["tip"].astype(np.float64)

    def act(self, observation: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Returns the displacement that is left, cut to one step."""
        action = (self._goal - observation["tip"]) / self._max_displacement
        return (action / max(1.0, float(np.linalg.norm(action)))).astype(np.float32)
