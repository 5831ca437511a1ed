"""What people see of an arm's world in MuJoCo's viewer, and what they do to it with the mouse.

The scene is a model of its own: the world, and for each place that a goal may ask for a mocap body, by which it can be
dragged. Nothing that is learned or judged sees that model.
"""

import math

import numpy as np
from numpy.typing import NDArray

from envs.arm.mujoco_env import ASSETS, MujocoEnv
from envs.rendering.types import MARKER_COLOR
from envs.rotations import upright
from envs.simulator import mujoco

AZIMUTH, ELEVATION = 145.0, -40.0
"""Which way people look at first, degrees."""

CENTER, EXTENT = (0.4, 0.0, 0.15), 1.0
"""What they look at first, and its size, m."""

STIFFNESS = 400.0
"""Of the spring by which the mouse pulls a body, 1/s^2 times its mass: a block follows in spite of its friction."""

NOWHERE = (0.0, 0.0, -5.0)
"""Where the handle of a place is that the goal does not ask for: out of sight and reach, m."""


def scene_model(env: MujocoEnv) -> "mujoco.MjModel":
    """Returns the world with a ball to drag at each place that a goal may ask for."""
    spec = mujoco.MjSpec.from_file(str(ASSETS / env.model_file))
    for name in _places(env):
        handle = spec.worldbody.add_body(name=_handle(name), mocap=True)
        _add_ball(handle, place=(0.0, 0.0, 0.0), radius=env.success_radius)
        if name in env.goal_turns():
            _add_ball(handle, place=(env.success_radius, 0.0, 0.0), radius=env.success_radius / 4)
    spec.visual.map.stiffness = STIFFNESS
    spec.stat.center, spec.stat.extent = CENTER, EXTENT
    spec.visual.global_.azimuth, spec.visual.global_.elevation = AZIMUTH, ELEVATION
    return spec.compile()


def show_world(env: MujocoEnv, scene: "mujoco.MjData") -> None:
    """Brings the scene to how the world and the goal are now; forces on it stay."""
    data, num_mocap = env.data, env.model.nmocap
    scene.time, scene.qpos[:], scene.qvel[:] = data.time, data.qpos, data.qvel
    scene.mocap_pos[:num_mocap], scene.mocap_quat[:num_mocap] = data.mocap_pos, data.mocap_quat
    asked, turns = env.goal_observation(env.desired_goal), env.goal_turns()
    for name in _places(env):
        index, yaw = _mocap_id(scene.model, name), turns.get(name, 0.0)
        scene.mocap_pos[index] = asked.get(name, NOWHERE)
        scene.mocap_quat[index] = upright(yaw)
    mujoco.mj_forward(scene.model, scene)


def feel_forces(env: MujocoEnv, scene: "mujoco.MjData") -> None:
    """Lets the forces on the scene's bodies act on the world's.

    They turn a body about the vertical alone: a block that is pulled at its top slides, and does not topple.
    """
    env.data.xfrc_applied[:] = scene.xfrc_applied[: env.model.nbody]
    env.data.xfrc_applied[:, 3:5] = 0.0


def drag_goal(env: MujocoEnv, scene: "mujoco.MjData") -> bool:
    """Moves the goal to where its handles are, if they were moved and there can be one; returns whether it moved."""
    asked, turns = env.goal_observation(env.desired_goal), env.goal_turns()
    handles = {name: _mocap_id(scene.model, name) for name in _places(env) if name in asked}
    places = {name: scene.mocap_pos[index] for name, index in handles.items()}
    turned = {name: _yaw(scene.mocap_quat[index]) for name, index in handles.items()}
    moved = [name for name in handles if not np.allclose(places[name], asked[name], atol=1e-6)]
    moved += [name for name, yaw in turns.items() if not math.isclose(math.cos(yaw - turned[name]), 1.0, abs_tol=1e-9)]
    if not moved:
        return False
    try:
        goal = env.goal_from(places, turned)
    except ValueError:  # as where two goals would lie in each other
        return False
    if np.array_equal(goal, env.desired_goal):  # it was dragged to where no goals lie
        return False
    env.desired_goal = goal
    return True


def _places(env: MujocoEnv) -> list[str]:
    """Returns the sensors that read a place which goals ask for."""
    return [name for name in env.goal_parts if env.sensors[name].unit == "m"]


def _handle(name: str) -> str:
    return f"goal_{name}"


def _mocap_id(model: "mujoco.MjModel", name: str) -> int:
    return int(model.body(_handle(name)).mocapid[0])


def _add_ball(body: "mujoco.MjsBody", *, place: tuple[float, float, float], radius: float) -> None:
    ball = mujoco.mjtGeom.mjGEOM_SPHERE
    body.add_geom(type=ball, pos=place, size=[radius, 0, 0], rgba=MARKER_COLOR, contype=0, conaffinity=0)


def _yaw(quaternion: NDArray[np.float64]) -> float:
    """Returns the turn about the vertical of a rotation, rad."""
    w, x, y, z = quaternion
    return math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
