"""Push: bring a block to a point on the table, with the tip held at a fixed height."""

import math
from collections.abc import Mapping
from itertools import product

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from envs.alteration import Alteration
from envs.arm.kinematics import NUM_JOINTS
from envs.arm.mujoco_env import ARM_SENSORS, MAX_DISPLACEMENT, Expert, FlatSensor, GoalPart, MujocoEnv
from envs.rotations import rotation_matrix, upright
from envs.simulator import mujoco
from envs.spec import Box
from envs.vision import Vision

TIP_HEIGHT = 0.03
"""Low enough to push below the block's upper edge, so that the finger cannot climb it, m."""

WORKSPACE = Box(low=(0.30, -0.32, TIP_HEIGHT), high=(0.74, 0.32, TIP_HEIGHT))
"""Where the tip may go: the block's area and room behind it, m."""

BLOCK_HALF_SIZE = 0.035
"""m; a resting block's centre is as high."""

BLOCK_AREA = Box(low=(0.375, -0.25, BLOCK_HALF_SIZE), high=(0.675, 0.25, BLOCK_HALF_SIZE))
"""Where the block starts, and where goals lie, m."""

MIN_START_DISTANCE = 0.10
"""Between the block at the start and the goal, m."""

TIP_CLEARANCE = 0.09
"""Between the tip at the start and the block's centre: more than the block's half diagonal and the finger, m."""

SUCCESS_RADIUS = 0.05
"""m."""

ARRIVED = 0.01
"""The expert rests when the block is this near the goal, m."""

CIRCLE_RADIUS = 0.085
"""On which the expert walks around the block's centre without touching it, m."""

CONTACT_DISTANCE = 0.05
"""Between the tip and the block's centre where a face is touched, m."""

NOWHERE = (0.5, 1.8)
"""On the table, and in no camera's view, m."""

OTHER_COLORS = ((0.15, 0.75, 0.3, 1.0), (0.95, 0.95, 0.95, 1.0))
"""Of the block's two halves, in place of yellow and blue."""

PUSHING_ANGLE = 0.35
"""The expert pushes when the tip is behind the block to within this, rad."""


_CORNERS = np.array(list(product((-1.0, 1.0), repeat=3)))
"""Of a box with half sides of 1."""


class PushEnv(MujocoEnv):
    """The block lies anywhere in its area, turned anyhow; the goal is a place for its centre, at least 10 cm away.

    Block sensors: position of the centre, m; orientation as the first two columns of its rotation matrix, which is
    continuous; linear and angular velocity in the world's frame, m/s and rad/s.
    """

    env_id = "jepa-mpc/Push-v0"
    model_file = "push.xml"
    sensors = {
        **ARM_SENSORS,
        "block_position": FlatSensor(3, 2.0, "m"),
        "block_orientation": FlatSensor(6, 2.0, ""),
        "block_velocity": FlatSensor(6, 100.0, "m/s, rad/s"),
    }
    workspace = WORKSPACE
    goal_parts = {"block_position": GoalPart(BLOCK_AREA, 2)}
    distance_units = {"block_position": "m"}
    success_radius = SUCCESS_RADIUS
    simulated = (*MujocoEnv.simulated, "_block_pose", "_block_velocity", "_block_rotation")

    def __init__(
        self, *, vision: Vision | None = None, render_mode: str | None = None, width: int = 480, height: int = 480
    ) -> None:
        super().__init__(vision=vision, render_mode=render_mode, width=width, height=height)
        # The compiler knows one damping for all six directions of a free joint; a block needs them apart.
        self.model.dof_damping[NUM_JOINTS:].reshape(-1, 6)[:] = self.model.numeric("block_drag").data
        self._finger, self._block = (self.model.geom(name).id for name in ("finger", "block"))
        self._touches = (self.model.pair_geom1 == self._finger) | (self.model.pair_geom2 == self._finger)
        loose = self.model.geom_bodyid >= self.model.jnt_bodyid[NUM_JOINTS]
        self._faces = np.flatnonzero(loose & (self.model.geom_group == 0))
        self._by_nature = self.model.geom_rgba.copy(), self.model.pair_margin.copy()

    def _simulate(self) -> None:
        super()._simulate()
        self._block_pose = self.data.qpos[NUM_JOINTS : NUM_JOINTS + 7]
        self._block_velocity = self.data.qvel[NUM_JOINTS : NUM_JOINTS + 6]
        self._block_rotation = self.data.xmat[self.model.body("block").id].reshape(3, 3)

    def expert(self) -> Expert:
        """Returns a controller that goes behind the block and pushes it to the goal."""
        return PushExpert(max_displacement=MAX_DISPLACEMENT, pushing_angle=PUSHING_ANGLE)

    def block_position(self) -> NDArray[np.float64]:
        """Returns where the block's centre is, `[3]`, m."""
        return self._asked_pose()[:3].copy()

    def displace_block(self, displacement: NDArray[np.float64]) -> None:
        """Moves the block along the table in no time, by `[2]`, m; its turn and its velocity stay."""
        self._asked_pose()[:2] += displacement
        self.control.refresh()

    def alter(self, alteration: Alteration) -> None:
        """Makes the world, and with it what is natural, otherwise than the model's file says."""
        super().alter(alteration)
        self._by_nature = self.model.geom_rgba.copy(), self.model.pair_margin.copy()

    def vanish_block(self) -> None:
        """Puts the block where no camera looks."""
        self._asked_pose()[:2] = NOWHERE
        self.control.refresh()

    def recolor_block(self) -> None:
        """Gives the two halves of every block colours that nothing else has."""
        self.model.geom_rgba[self._faces] = np.resize(OTHER_COLORS, (len(self._faces), 4))
        self._forget_pictures()

    def let_pass(self) -> None:
        """Lets the finger pass through every block."""
        self.model.pair_margin[self._touches] = -1.0  # m: no overlap is a contact then

    def obey(self) -> None:
        """Lets every block look and collide as it does by nature."""
        colors, margins = self._by_nature
        self.model.pair_margin[:] = margins
        if not np.array_equal(self.model.geom_rgba, colors):
            self.model.geom_rgba[:] = colors
            self._forget_pictures()

    def clearance(self) -> float:
        """Returns the distance between finger and block, m; negative where they overlap, 1 where it is larger."""
        return float(mujoco.mj_geomDistance(self.model, self.data, self._finger, self._block, 1.0, None))

    def _asked_pose(self) -> NDArray[np.float64]:
        """Returns a view of the pose of the block that is to be brought to the goal, `[7]`."""
        pose: NDArray[np.float64] = self._block_pose
        return pose

    def _place_start(self, desired_goal: NDArray[np.float32]) -> None:
        while True:
            block = self.np_random.uniform(BLOCK_AREA.low, BLOCK_AREA.high)
            if np.linalg.norm(block[:2] - desired_goal[:2]) >= MIN_START_DISTANCE:
                break
        while True:
            tip = self.np_random.uniform(WORKSPACE.low, WORKSPACE.high)
            if np.linalg.norm(tip[:2] - block[:2]) >= TIP_CLEARANCE:
                break
        yaw = self._draw_yaw(desired_goal)
        self._block_pose[:3] = block
        self._block_pose[3:] = upright(yaw)
        self.control.place(tip)

    def _place_goal(self, desired_goal: NDArray[np.float32]) -> None:
        """Puts the block to the goal, turned anyhow, and the arm anywhere where it does not hide it.

        So a user might have taken the picture. How the block is turned and the arm stands, nobody asks for; it follows
        from the goal alone, whatever the episode.
        """
        generator = goal_generator(desired_goal)
        self._block_pose[:2] = desired_goal[:2]
        self._block_pose[3:] = upright(self._goal_yaw(desired_goal, generator))
        self._stand_aside(generator, self._block_pose[None])

    def _goal_yaw(self, desired_goal: NDArray[np.float32], generator: Generator) -> float:  # noqa: ARG002
        """Draws how the block is turned in a picture of the goal, rad."""
        return generator.uniform(-math.pi, math.pi)

    def _stand_aside(self, generator: Generator, blocks: NDArray[np.float64]) -> None:
        """Places the tip at random, neither near blocks, poses `[num_blocks, 7]`, nor between them and the camera."""
        while True:
            tip = generator.uniform(WORKSPACE.low, WORKSPACE.high)
            if np.linalg.norm(blocks[:, :2] - tip[:2], axis=1).min() >= TIP_CLEARANCE:
                self.control.place(tip)
                if not any(self._hides(pose) for pose in blocks):
                    return

    def _hides(self, pose: NDArray[np.float64]) -> bool:
        """Returns whether the arm hides a corner of a block, or its middle, from the fixed camera."""
        camera = self.model.camera("fixed").pos  # it is fixed to the world
        corners = pose[:3] + BLOCK_HALF_SIZE * _CORNERS @ rotation_matrix(pose[3:]).T
        return any(self._meets_arm(camera, corner - camera) for corner in (*corners, pose[:3]))

    def _meets_arm(self, start: NDArray[np.float64], way: NDArray[np.float64]) -> bool:
        """Returns whether a way from a start `[3]` to its end, m, passes the arm."""
        geom = np.full(1, -1, np.int32)
        left = mujoco.mj_ray(self.model, self.data, start, way, None, 0, -1, geom)
        return 0 <= left < 1 and bool(self.model.geom_bodyid[geom[0]] < self.model.jnt_bodyid[NUM_JOINTS])

    def _draw_yaw(self, desired_goal: NDArray[np.float32]) -> float:  # noqa: ARG002 - the goal is a place alone
        """Draws how the block is turned at the start, rad."""
        return self.np_random.uniform(-math.pi, math.pi)

    def _read_objects(self, observation: NDArray[np.float32]) -> None:
        read_block(observation[17:32], self._block_pose, self._block_velocity, self._block_rotation)


def goal_generator(desired_goal: NDArray[np.float32]) -> Generator:
    """Returns what the picture of a goal draws from: it follows from the goal alone."""
    return np.random.default_rng(np.frombuffer(desired_goal.tobytes(), np.uint32))


def read_block(
    reading: NDArray[np.float32],
    pose: NDArray[np.float64],
    velocity: NDArray[np.float64],
    rotation: NDArray[np.float64],
) -> None:
    """Fills in what a block's sensors read, `[15]`: position, orientation and velocity."""
    reading[:3] = pose[:3]
    reading[3:6] = rotation[:, 0]
    reading[6:9] = rotation[:, 1]
    reading[9:12] = velocity[:3]
    reading[12:15] = rotation @ velocity[3:]  # measured in the block's own frame


class PushExpert:
    """Walks around the block to the side away from the goal, pushes it, corrects, and holds still when it is there.

    Args:
        max_displacement: Longest way of the tip in one control step, m.
        pushing_angle: It pushes when the tip is behind the block to within this, rad.
    """

    def __init__(self, *, max_displacement: float, pushing_angle: float) -> None:
        self._max_displacement = max_displacement
        self._pushing_angle = pushing_angle
        self._goal = np.zeros(2)

    def reset(self, goal: Mapping[str, NDArray[np.float32]], *, seed: int) -> None:  # noqa: ARG002
        """Starts an episode; nothing is random, so the seed has no effect."""
        self._goal = goal["block_position"][:2].astype(np.float64)

    def act(self, observation: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Returns the next planar displacement."""
        block = observation["block_position"][:2].astype(np.float64)
        tip = observation["tip"][:2] - block
        way = self._goal - block
        distance = math.hypot(*way)
        if distance < ARRIVED:
            return np.zeros(2, np.float32)
        direction = way / distance
        angle = _angle(tip, -direction)
        if abs(angle) > self._pushing_angle:
            displacement = self._around(tip, angle)
        else:
            lateral = tip - (tip @ direction) * direction
            gap = -(tip @ direction) - CONTACT_DISTANCE
            displacement = (gap + distance) * direction - 1.5 * lateral
        action = displacement / self._max_displacement
        return (action / max(1.0, math.hypot(*action))).astype(np.float32)

    def _around(self, tip: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
        """Returns the displacement along a circle about the block that shortens `angle`, rad."""
        turn = math.copysign(min(abs(angle), self._max_displacement / CIRCLE_RADIUS), angle)
        cosine, sine = math.cos(turn), math.sin(turn)
        outward = tip / math.hypot(*tip)
        ahead = np.array([cosine * outward[0] - sine * outward[1], sine * outward[0] + cosine * outward[1]])
        return CIRCLE_RADIUS * ahead - tip


def _angle(start: NDArray[np.float64], end: NDArray[np.float64]) -> float:
    """Returns the signed angle from one planar vector to another, rad."""
    return math.atan2(start[0] * end[1] - start[1] * end[0], start @ end)
