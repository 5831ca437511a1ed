"""Reach, gate: bring the tip to a point beyond a wall, one of whose two gaps is closed when the tip comes near."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from envs.arm.mujoco_env import ARM_SENSORS, MAX_DISPLACEMENT, NUM_SUBSTEPS, Expert, FlatSensor, GoalPart
from envs.arm.reach import SUCCESS_RADIUS, ReachEnv
from envs.simulator import mujoco
from envs.spec import Box
from envs.vision import Vision

TIP_HEIGHT = 0.05
"""Of the tip, which stays low between wall and hand, m."""

WORKSPACE = Box(low=(0.35, -0.28, TIP_HEIGHT), high=(0.70, 0.28, TIP_HEIGHT))
"""Where the tip may go: both sides of the wall, and around its far end, m."""

START_AREA = Box(low=(0.40, -0.26, TIP_HEIGHT), high=(0.56, -0.14, TIP_HEIGHT))
"""Where the tip starts, before the wall, m."""

GOAL_AREA = Box(low=(0.40, 0.14, TIP_HEIGHT), high=(0.56, 0.26, TIP_HEIGHT))
"""Where goals lie, beyond it, m."""

TRIGGER_DISTANCE = 0.075
"""The bar swings when the tip is this near to its hinge, m: too late for a fast tip, early enough for a slow one."""

SWING = math.pi / 2
"""To either side, rad."""

SWING_STEP = SWING / (2 * NUM_SUBSTEPS)
"""In one time step of the simulation, rad: the bar needs two control steps."""

WAY_AROUND = (0.62, 0.04)
"""Where the expert passes the far end of the wall: along it, m, and how far before and behind it, m."""

SIDE, ANGLE, TOUCH = range(3)
"""Of the user's numbers in the state."""


class ReachGateEnv(ReachEnv):
    """The tip, at a fixed height, starts before a wall, and the goal lies beyond it.

    The wall has two gaps. When the tip first comes near the bar between them, the bar swings into one of them, and
    stays: which one is even odds, drawn with the start, and nothing tells before. A finger in its way slows it until
    it makes room. Around the far end of the wall there is a longer way on which nothing happens.

    Sensors beside the arm's: the angle of the bar, rad, 0 before it swings, positive towards the gap near the robot's
    base; and touch, the share of the last control step in which the finger touched wall or bar.
    """

    env_id = "jepa-mpc/ReachGate-v0"
    model_file = "reach_gate.xml"
    sensors = {**ARM_SENSORS, "bar_angle": FlatSensor(1, 2.0, "rad"), "touch": FlatSensor(1, 1.0, "")}
    workspace = WORKSPACE
    goal_parts = {"tip": GoalPart(GOAL_AREA, 2)}

    def __init__(
        self, *, vision: Vision | None = None, render_mode: str | None = None, width: int = 480, height: int = 480
    ) -> None:
        super().__init__(vision=vision, render_mode=render_mode, width=width, height=height)
        self._bar = self.model.geom("bar").id
        self._hinge = self.model.body("bar").pos[:2].copy()

    def expert(self) -> Expert:
        """Returns a controller that goes around the wall."""
        return ReachGateExpert(max_displacement=MAX_DISPLACEMENT)

    def advance(self, action: NDArray[np.float32]) -> None:
        """Does what `step` does to the world, and looks at nothing.

        Raises:
            ValueError: An action that is not finite, or of another shape.
        """
        self._command(action)
        memory = self.data.userdata
        swings = memory[ANGLE] != 0 or math.dist(self._tip[:2], self._hinge) < TRIGGER_DISTANCE
        num_touching = 0
        for _ in range(NUM_SUBSTEPS):
            if swings and abs(memory[ANGLE]) < SWING and not self._is_held():
                self._turn_bar(memory[ANGLE] + memory[SIDE] * SWING_STEP)
            mujoco.mj_step(self.model, self.data)
            num_touching += self.data.ncon > 0
        memory[TOUCH] = num_touching / NUM_SUBSTEPS
        self.control.refresh()

    def _is_held(self) -> bool:
        """Returns whether the finger is in the bar's way."""
        return self.data.ncon > 0 and bool((self.data.contact.geom == self._bar).any())

    def _turn_bar(self, angle: float) -> None:
        angle = min(SWING, max(-SWING, angle))
        self.data.userdata[ANGLE] = angle
        self.data.mocap_quat[0] = math.cos(angle / 2), 0.0, 0.0, math.sin(angle / 2)

    def _place_start(self, desired_goal: NDArray[np.float32]) -> None:  # noqa: ARG002 - it is always far enough
        self.control.place(self.np_random.uniform(START_AREA.low, START_AREA.high))
        self.data.userdata[SIDE] = self.np_random.choice([-1.0, 1.0])

    def _place_goal(self, desired_goal: NDArray[np.float32]) -> None:
        self.control.place(np.array([*desired_goal, TIP_HEIGHT]))

    def _read_objects(self, observation: NDArray[np.float32]) -> None:
        observation[17:] = self.data.userdata[ANGLE:]


class ReachGateExpert:
    """Goes around the far end of the wall, straight to the goal, and stays there.

    Args:
        max_displacement: Longest way of the tip in one control step, m.
    """

    def __init__(self, *, max_displacement: float) -> None:
        self._max_displacement = max_displacement
        self._goal = np.zeros(2)

    def reset(self, goal: Mapping[str, NDArray[np.float32]], *, seed: int) -> None:  # noqa: ARG002
        """Starts an episode; nothing is random, so the seed has no effect."""
        self._goal = goal["tip"][:2].astype(np.float64)

    def act(self, observation: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Returns the displacement to the next point of the way, cut to one step."""
        tip = observation["tip"][:2].astype(np.float64)
        x, y = WAY_AROUND
        before, behind = np.array([x, -y]), np.array([x, y])
        if tip[1] >= y or math.dist(tip, behind) < SUCCESS_RADIUS:
            point = self._goal
        elif tip[1] >= -y or math.dist(tip, before) < SUCCESS_RADIUS:
            point = behind
        else:
            point = before
        action = (point - tip) / self._max_displacement
        return (action / max(1.0, math.hypot(*action))).astype(np.float32)
