"""Push, two: bring one of two blocks, or both, to places on the table, as the goal asks."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.arm.kinematics import NUM_JOINTS
from envs.arm.mujoco_env import ASSETS, MAX_DISPLACEMENT, Expert, FlatSensor, GoalPart, Readings
from envs.arm.push import (
    BLOCK_AREA,
    MIN_START_DISTANCE,
    TIP_CLEARANCE,
    WORKSPACE,
    PushEnv,
    goal_generator,
    read_block,
)
from envs.arm.two_expert import TwoExpert
from envs.rendering import Marker
from envs.rotations import upright
from envs.simulator import mujoco
from envs.spec import Box
from envs.vision import Vision

MIN_SPACING = 0.14
"""Between two blocks at the start, two goals, and a goal and the other block at the start: room for the finger, m."""

NOT_ASKED = 0.0
"""Both coordinates in a flat goal of a block that is not asked for: the robot's own base, where no goal lies, m."""

PLACES = ("block_position", "second_block_position")
"""The sensors that a goal may ask for."""


class PushTwoEnv(PushEnv):
    """Push with two blocks, where a goal asks for the first, for the second, or for both, as often as each other.

    It is reached when each block that it asks for is within 5 cm of its place; the other may lie anywhere. The flat
    goal is the place of the first block and that of the second, where (0, 0) stands for a block that is not asked for.
    What is left to a goal is the distance of the farthest block that it asks for.
    """

    env_id = "jepa-mpc/PushTwo-v0"
    model_file = "push_two.xml"
    sensors = {
        **PushEnv.sensors,
        "second_block_position": FlatSensor(3, 2.0, "m"),
        "second_block_orientation": FlatSensor(6, 2.0, ""),
        "second_block_velocity": FlatSensor(6, 100.0, "m/s, rad/s"),
    }
    goal_parts = dict.fromkeys(PLACES, GoalPart(BLOCK_AREA, 2))
    distance_units = {"farthest_block": "m"}
    simulated = (*PushEnv.simulated, "_second_pose", "_second_velocity", "_second_rotation")

    def __init__(
        self, *, vision: Vision | None = None, render_mode: str | None = None, width: int = 480, height: int = 480
    ) -> None:
        super().__init__(vision=vision, render_mode=render_mode, width=width, height=height)
        self._second_block = self.model.geom("second_block").id

    def _simulate(self) -> None:
        super()._simulate()
        self._second_pose = self.data.qpos[NUM_JOINTS + 7 :]
        self._second_velocity = self.data.qvel[NUM_JOINTS + 6 :]
        self._second_rotation = self.data.xmat[self.model.body("second_block").id].reshape(3, 3)

    @property
    def criterion(self) -> str:
        """Says, for people, when a goal counts as reached."""
        return f"each block that is asked for within {100 * self.success_radius:g} cm of its goal"

    def expert(self) -> Expert:
        """Returns a controller that pushes one block after the other to its goal."""
        return TwoExpert(max_displacement=MAX_DISPLACEMENT)

    def distance_to_goal(self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any]) -> NDArray[np.float32]:
        """Returns how far the farthest block that is asked for is from its place, m, for goals `[..., goal_dim]`."""
        achieved, desired = _places(achieved_goal), _places(desired_goal)
        difference = achieved - desired
        left = np.where(_asked(desired), np.sqrt((difference * difference).sum(-1)), np.float32(0))
        farthest: NDArray[np.float32] = left.max(-1)
        return farthest

    def goal_observation(self, desired_goal: NDArray[np.float32]) -> Readings:
        """Returns where the blocks that a goal `[goal_dim]` asks for should be; the other one is not named."""
        asked = dict(zip(PLACES, _asked(_places(desired_goal)), strict=True))
        return {name: it for name, it in super().goal_observation(desired_goal).items() if asked[name].any()}

    def flat_goal(self, wish: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Returns the flat goal of which `goal_observation` makes these readings."""
        nowhere = np.full(2, NOT_ASKED, np.float32)
        return np.concatenate([wish[name][:2] if name in wish else nowhere for name in PLACES])

    def clearance(self) -> float:
        """Returns the least distance between the finger and the blocks, m; negative where any two overlap."""
        pairs = ((self._finger, self._block), (self._finger, self._second_block), (self._block, self._second_block))
        return min(float(mujoco.mj_geomDistance(self.model, self.data, *pair, 1.0, None)) for pair in pairs)

    def _asked_pose(self) -> NDArray[np.float64]:
        """Returns a view of the pose of the first block that is asked for, `[7]`."""
        pose: NDArray[np.float64] = self._block_pose if _asked(_places(self.desired_goal))[0] else self._second_pose
        return pose

    def _make_goal_space(self) -> gymnasium.spaces.Box:
        space = super()._make_goal_space()
        return gymnasium.spaces.Box(low=np.minimum(space.low, NOT_ASKED), high=space.high)

    def _sample_goal(self) -> NDArray[np.float32]:
        low, high = (np.array(corner[:2], np.float32) for corner in (BLOCK_AREA.low, BLOCK_AREA.high))
        while True:
            places = self.np_random.uniform(low, high, (2, 2)).astype(np.float32).clip(low, high)
            if math.dist(*places) >= MIN_SPACING:
                break
        other = self.np_random.integers(3)  # the block that is not asked for, if there is one
        places[other : other + 1] = NOT_ASKED
        return places.ravel()

    def checked_goal(self, goal: Any) -> NDArray[np.float32]:
        """Returns a flat goal as it is, if it asks for a block and leaves room."""
        checked = super().checked_goal(goal)
        places = _places(checked)
        asked = _asked(places)
        low, high = (np.array(corner[:2], np.float32) for corner in (BLOCK_AREA.low, BLOCK_AREA.high))
        outside = (places != places.clip(low, high)).any(-1)
        if not asked.any() or outside[asked].any() or (asked.all() and math.dist(*places) < MIN_SPACING):
            raise ValueError(
                f"a goal of {self.env_id} is a place for each block, between {low} and {high} and {MIN_SPACING} m "
                f"apart, or (0, 0) for one block that is not asked for, got {goal}"
            )
        return checked

    def _place_start(self, desired_goal: NDArray[np.float32]) -> None:
        goals = _places(desired_goal)
        asked = _asked(goals)
        while True:
            blocks = self.np_random.uniform(BLOCK_AREA.low, BLOCK_AREA.high, (2, 3))
            ways = np.linalg.norm(blocks[:, None, :2] - goals, axis=-1)  # [block, goal]
            least = np.where(np.eye(2, dtype=bool), MIN_START_DISTANCE, MIN_SPACING)
            if (ways >= least)[:, asked].all() and math.dist(*blocks) >= MIN_SPACING:
                break
        while True:
            tip = self.np_random.uniform(WORKSPACE.low, WORKSPACE.high)
            if np.linalg.norm(tip[:2] - blocks[:, :2], axis=-1).min() >= TIP_CLEARANCE:
                break
        for pose, block in zip((self._block_pose, self._second_pose), blocks, strict=True):
            yaw = self.np_random.uniform(-math.pi, math.pi)
            pose[:] = *block, *upright(yaw)
        self.control.place(tip)

    def _place_goal(self, desired_goal: NDArray[np.float32]) -> None:
        """Puts the blocks that are asked for to their goals, turned anyhow, and the arm anywhere where it hides none.

        The other block stays where it is unless it would be in their way; then it goes to where there is room, where a
        block was, if that will do.
        """
        goals = _places(desired_goal)
        asked = _asked(goals)
        poses = np.stack([self._block_pose, self._second_pose])
        before = poses[:, :2].copy()
        poses[asked, :2] = goals[asked]
        if not asked.all() and math.dist(*poses[:, :2]) < MIN_SPACING:
            placed = goals[asked]
            poses[~asked, :2] = _first_clear([*before[asked], *_corners(BLOCK_AREA)], placed, MIN_SPACING)
        generator = goal_generator(desired_goal)
        for index in np.flatnonzero(asked):
            poses[index, 3:] = upright(self._goal_yaw(desired_goal, generator))
        self._block_pose[:], self._second_pose[:] = poses
        self._stand_aside(generator, poses)

    def _read_objects(self, observation: NDArray[np.float32]) -> None:
        super()._read_objects(observation)
        read_block(observation[32:47], self._second_pose, self._second_velocity, self._second_rotation)

    def _markers(self) -> list[Marker]:
        """Returns the place of each block that is asked for; the second's has a small ball above it."""
        wish = self.goal_observation(self.desired_goal)
        markers = [Marker(position=place, radius=self.success_radius) for place in wish.values()]
        if PLACES[1] in wish:
            above = wish[PLACES[1]] + np.array([0, 0, 1.5 * self.success_radius], np.float32)
            markers.append(Marker(position=above, radius=self.success_radius / 4))
        return markers

    def _sources(self) -> list[Path]:
        return [*super()._sources(), ASSETS / PushEnv.model_file]


def _places(goals: NDArray[Any]) -> NDArray[np.float32]:
    """Returns the places of both blocks, `[..., 2, 2]`, of flat goals, `[..., 4]`."""
    flat = np.asarray(goals, np.float32)
    return flat.reshape(*flat.shape[:-1], 2, 2)


def _asked(places: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Returns which blocks are asked for, `[..., 2]`, by their places, `[..., 2, 2]`."""
    asked: NDArray[np.bool_] = (places != NOT_ASKED).any(-1)
    return asked


def _corners(box: Box) -> list[tuple[float, float]]:
    return [(x, y) for x in (box.low[0], box.high[0]) for y in (box.low[1], box.high[1])]


def _first_clear(candidates: Any, taken: NDArray[Any], spacing: float) -> NDArray[np.float64]:
    """Returns the first of some places, `[2]`, that is so far from all that are taken, `[num_taken, 2]`, m."""
    return next(np.asarray(it) for it in candidates if np.linalg.norm(taken - it, axis=-1).min() >= spacing)
