"""The goal-conditioned base of every task: an arm whose tip is sent somewhere 20 times a second.

Time: `actions[t]` is executed after `observations[t]` and leads to `observations[t + 1]`.

A dimension of the workspace whose two bounds coincide is fixed: a workspace with one height takes planar actions.

With a `Vision` the observation holds camera frames too, and goals are pictures of the goal.
"""

import copy
import hashlib
import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.alteration import Alteration
from envs.arm.kinematics import NUM_JOINTS, TipControl
from envs.rendering import Marker, Renderer, choose_backend, make_renderer
from envs.simulator import mujoco
from envs.spec import Box, BoxActions, Effector, Sensor, TaskSpec
from envs.vision import Vision

ASSETS = Path(__file__).parent / "assets"

NUM_SUBSTEPS = 5
CONTROL_DT = 0.05
"""Control period, s."""

MAX_DISPLACEMENT = 0.03
"""Longest way of the tip in one control step, m."""

FULL_STATE = int(mujoco.mjtState.mjSTATE_INTEGRATION)
"""Everything that the next state depends on, the solver's warm start included."""

_STATE = "simulation"
"""Under which a copy finds the simulator's state."""

Readings = dict[str, NDArray[Any]]
"""Name to numbers: sensors, or Gymnasium's observation and goals."""


@dataclass(frozen=True)
class FlatSensor:
    """One named part of the flat observation.

    Attributes:
        size: How many numbers it reads.
        limit: No reading is larger in magnitude, in the sensor's own unit.
        unit: Of its numbers.
    """

    size: int
    limit: float
    unit: str


@dataclass(frozen=True)
class GoalPart:
    """What a goal asks of one sensor.

    Attributes:
        box: Where the wished reading lies, in the sensor's own unit.
        size: How many of its first numbers the flat goal holds; the rest follows from them.
    """

    box: Box
    size: int


ARM_SENSORS: Mapping[str, FlatSensor] = {
    "tip": FlatSensor(3, 2.0, "m"),
    "joint_position": FlatSensor(NUM_JOINTS, 4.0, "rad"),
    "joint_velocity": FlatSensor(NUM_JOINTS, 50.0, "rad/s"),
}


class Expert(Protocol):
    """A scripted controller that may look into the simulator: it proves that the goals can be reached."""

    def reset(self, goal: Mapping[str, NDArray[np.float32]], *, seed: int) -> None:
        """Starts an episode with a goal observation."""
        ...

    def act(self, observation: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """Returns the next action for the named sensors."""
        ...


class MujocoEnv(gymnasium.Env[dict[str, Any], NDArray[np.float32]]):
    """An arm beside a table, commanded by displacements of its tip.

    An action in [-1, 1] asks for the displacement `max_displacement * action / max(1, |action|)` of the *measured* tip,
    so that the state has no hidden part; the target is clipped to the workspace. Episodes are cut by the time limit and
    never terminate.

    A flat goal joins the parts of `goal_parts`; the first of them is a place, whose distance is measured.
    `distance_units` names what is left to a goal, the distance of the place first, each with its unit. What
    `unseen_sensors` read is recorded for those who judge, and part of no observation.

    `reset` takes the options `goal` (a desired goal) and `state` (from `get_state`).

    Args:
        vision: Cameras among the sensors, or None for numbers alone.
        render_mode: None or "rgb_array".
        width: Of a rendered frame, pixels.
        height: Of a rendered frame, pixels.

    Raises:
        ValueError: There is no such camera or render mode.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / CONTROL_DT)}

    env_id: ClassVar[str]
    model_file: ClassVar[str]
    sensors: ClassVar[Mapping[str, FlatSensor]]
    workspace: ClassVar[Box]
    unseen_sensors: ClassVar[Mapping[str, FlatSensor]] = {}
    goal_parts: ClassVar[Mapping[str, GoalPart]]
    distance_units: ClassVar[Mapping[str, str]]
    success_radius: ClassVar[float]
    simulated: ClassVar[tuple[str, ...]] = ("data", "control", "_tip", "_joint_position", "_joint_velocity")

    def __init__(
        self, *, vision: Vision | None = None, render_mode: str | None = None, width: int = 480, height: int = 480
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f'render_mode must be None or "rgb_array", got {render_mode!r}')
        self.render_mode = render_mode
        self._vision = vision
        self.cameras: dict[str, str] = {} if vision is None else vision.sensors
        self._frame_size = (width, height)
        self._renderers: dict[tuple[str, str, int, int], Renderer] = {}
        self.backend = "" if vision is None else vision.backends[0]

        self.model = mujoco.MjModel.from_xml_path(str(ASSETS / self.model_file))
        _check_cameras(self.model, self.cameras.values())
        self._simulate()

        self._low, self._high = np.array(self.workspace.low), np.array(self.workspace.high)
        self._action_dim = int((self._low < self._high).sum())
        self._slices = _slices(self.sensors)
        parts = self.goal_parts.values()
        starts = [self._slices[name].start for name in self.goal_parts]
        self._achieved = np.concatenate(
            [np.arange(start, start + part.size) for start, part in zip(starts, parts, strict=True)]
        )
        self._place_distance = next(iter(self.distance_units))
        self._place = slice(next(iter(parts)).size)

        limits = np.concatenate([np.full(sensor.size, sensor.limit, np.float32) for sensor in self.sensors.values()])
        goal_limits = limits[self._achieved]
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (self._action_dim,), np.float32)
        self._goal_space = self._make_goal_space()
        spaces: dict[str, gymnasium.Space[Any]] = {
            "observation": gymnasium.spaces.Box(-limits, limits, dtype=np.float32),
            "achieved_goal": gymnasium.spaces.Box(-goal_limits, goal_limits, dtype=np.float32),
            "desired_goal": self._goal_space,
        }
        if vision is not None:
            spaces |= {name: gymnasium.spaces.Box(0, 255, vision.shape, np.uint8) for name in vision.sensors}
        self.observation_space = gymnasium.spaces.Dict(spaces)
        self._size = len(limits)
        self.desired_goal = np.zeros(len(self._achieved), np.float32)

    def _simulate(self) -> None:
        """Makes a simulation of the model, and views of its own arrays: all that is named in `simulated`."""
        self.data = mujoco.MjData(self.model)
        self.control = TipControl(self.model, self.data)
        self._tip = self.data.site_xpos[self.model.site("tip").id]
        self._joint_position = self.data.qpos[:NUM_JOINTS]
        self._joint_velocity = self.data.qvel[:NUM_JOINTS]

    def __getstate__(self) -> dict[str, Any]:
        """Returns what a copy is made of, and no view: one of the copy's arrays would no longer see its simulation."""
        kept = {name: value for name, value in vars(self).items() if name not in self.simulated}
        return {**kept, "_renderers": {}, _STATE: self.get_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Makes a copy: a world of its own, which goes on as this one would."""
        vars(self).update({name: value for name, value in state.items() if name != _STATE})
        self._simulate()
        self.set_state(state[_STATE])

    def __copy__(self) -> Self:
        """Returns a deep copy: half a world would be none."""
        return copy.deepcopy(self)

    @cached_property
    def description(self) -> TaskSpec:
        """The contract between this task and whoever learns from its episodes."""
        num_steps = gymnasium.spec(self.env_id).max_episode_steps
        assert num_steps is not None
        sensors = {
            name: Sensor(shape=(sensor.size,), kind="numbers", unit=sensor.unit)
            for name, sensor in {**self.sensors, **self.unseen_sensors}.items()
        }
        perceived, asked = tuple(self.sensors), tuple(self.goal_parts)
        if self._vision is not None:
            asked = tuple(self.cameras)
            perceived = asked + (tuple(ARM_SENSORS) if self._vision.proprioception else ())
            sensors |= dict.fromkeys(asked, Sensor(shape=self._vision.shape, kind="image", unit=""))
        return TaskSpec(
            task_id=self.env_id,
            fingerprint=hashlib.sha256(b"".join(path.read_bytes() for path in self._sources())).hexdigest(),
            sensors=sensors,
            perceived=perceived,
            asked=asked,
            goal={name: part.box for name, part in self.goal_parts.items()},
            actions=BoxActions.unit(self._action_dim),
            control_dt=CONTROL_DT,
            num_steps=num_steps,
            effector=Effector(sensor="tip", workspace=self.workspace, max_displacement=MAX_DISPLACEMENT),
        )

    def another(self) -> Self:
        """Returns a second simulation of the same task, with the same cameras."""
        return type(self)(vision=self._vision)

    @property
    def criterion(self) -> str:
        """Says, for people, when a goal counts as reached."""
        return f"{next(iter(self.goal_parts)).replace('_', ' ')} within {100 * self.success_radius:g} cm of its goal"

    @abstractmethod
    def expert(self) -> Expert:
        """Returns a controller that reaches every goal of this environment."""

    @abstractmethod
    def _place_start(self, desired_goal: NDArray[np.float32]) -> None:
        """Draws a start from `self.np_random`, far enough from the goal, and puts arm and objects there, at rest."""

    @abstractmethod
    def _place_goal(self, desired_goal: NDArray[np.float32]) -> None:
        """Puts arm and objects where the goal is reached, to be photographed; nothing is drawn for it."""

    @abstractmethod
    def _read_objects(self, observation: NDArray[np.float32]) -> None:
        """Fills in what the task's own sensors read."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Readings, dict[str, Any]]:
        """Draws a goal and a start, unless `options` gives them.

        Returns:
            The observation, and info with `is_success`, the `distances` to the goal, and `redrawn`: how many starts
            were thrown away because they were already solved.

        Raises:
            ValueError: A goal outside the goal box, a state of another size, or an unknown option.
        """
        super().reset(seed=seed)
        if self._vision is not None and seed is not None:
            self.backend = self._vision.backends[seed % len(self._vision.backends)]
        options = options or {}
        if unknown := set(options) - {"goal", "state"}:
            raise ValueError(f"reset knows the options goal and state, got {sorted(unknown)}")
        given = options.get("goal")
        self.desired_goal = self._sample_goal() if given is None else self.checked_goal(given)
        redrawn = 0
        if "state" in options:
            self.set_state(options["state"])
        else:
            self._draw_start()
            while self._judged(self._observe())["is_success"]:
                redrawn += 1
                self._draw_start()
        observation = self._observe()
        return self._with_goals(observation), {**self._judged(observation), "redrawn": redrawn}

    def step(self, action: NDArray[np.float32]) -> tuple[Readings, float, bool, bool, dict[str, Any]]:
        """Moves the tip for one control period.

        Raises:
            ValueError: An action that is not finite, or of another shape.
        """
        self.advance(action)
        observation = self._observe()
        info = self._judged(observation)
        return self._with_goals(observation), 0.0 if info["is_success"] else -1.0, False, False, info

    def advance(self, action: NDArray[np.float32]) -> None:
        """Does what `step` does to the world, and looks at nothing.

        Raises:
            ValueError: An action that is not finite, or of another shape.
        """
        self._command(action)
        mujoco.mj_step(self.model, self.data, NUM_SUBSTEPS)
        self.control.refresh()

    def compute_reward(self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], info: Any) -> NDArray[np.float32]:  # noqa: ARG002
        """Returns 0 where the goal is reached and -1 elsewhere, for goals `[..., goal_dim]`; `info` is not used."""
        reached = self._reached(self.distances(achieved_goal, desired_goal))
        return np.where(reached, np.float32(0), np.float32(-1))

    def distances(self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Returns what is left between goals `[..., goal_dim]`: name to number, as `distance_units` says."""
        return {self._place_distance: self.distance_to_goal(achieved_goal, desired_goal)}

    def distance_to_goal(self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any]) -> NDArray[np.float32]:
        """Returns the distance, m, between the places of goals `[..., goal_dim]`."""
        achieved, desired = achieved_goal[..., self._place], desired_goal[..., self._place]
        difference = np.subtract(achieved, desired, dtype=np.float32)
        distance: NDArray[np.float32] = np.sqrt((difference * difference).sum(-1))
        return distance

    def sensor_readings(self, state: Mapping[str, NDArray[Any]]) -> Readings:
        """Names all sensors of what `reset` or `step` just returned, cameras included."""
        readings = self.split_observation(state["observation"]) | self._unseen_readings()
        for name in self.cameras:
            readings[name] = state[name]
        return readings

    def goal_readings(self, desired_goal: NDArray[np.float32]) -> Readings:
        """Returns what a policy is told of a goal: wished readings, or with cameras a picture of each.

        Such a picture is taken of the simulation as it is now, but with the goal reached; the simulation goes on as if
        nothing had happened.
        """
        if self._vision is None:
            return self.goal_observation(desired_goal)
        readings = self.readings_at(desired_goal)
        return {name: readings[name] for name in self.cameras}

    def readings_at(self, desired_goal: NDArray[np.float32]) -> Readings:
        """Returns what all sensors would read with a goal reached; the simulation goes on as if it were not."""
        state = self.get_state()
        self._place_goal(np.asarray(desired_goal, np.float32))
        self.control.refresh()
        readings = self.readings()
        self.set_state(state)
        return readings

    def readings(self) -> Readings:
        """Returns what all sensors read now, cameras included."""
        return {**self.split_observation(self._observe()), **self._unseen_readings(), **self.frames()}

    def split_observation(self, observation: NDArray[np.float32]) -> Readings:
        """Names the sensors of flat observations `[..., size]`: sensor to `[..., sensor_size]`."""
        return {name: observation[..., part] for name, part in self._slices.items()}

    def goal_observation(self, desired_goal: NDArray[np.float32]) -> Readings:
        """Returns what the sensors of a goal `[..., goal_dim]` should read; the other sensors are not asked for."""
        desired_goal = np.asarray(desired_goal, np.float32)
        sizes = [part.size for part in self.goal_parts.values()]
        parts = np.split(desired_goal, np.cumsum(sizes)[:-1], axis=-1)
        return {name: self._complete(name, part) for name, part in zip(self.goal_parts, parts, strict=True)}

    def flat_goal(self, wish: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Returns the flat goal of which `goal_observation` makes these readings."""
        return np.concatenate([wish[name][..., : part.size] for name, part in self.goal_parts.items()], axis=-1)

    def get_state(self) -> NDArray[np.float64]:
        """Returns the simulator's full state; the goal is not part of it."""
        state = np.empty(mujoco.mj_stateSize(self.model, FULL_STATE))
        mujoco.mj_getState(self.model, self.data, state, FULL_STATE)
        return state

    def set_state(self, state: NDArray[np.float64]) -> None:
        """Puts the simulator exactly where `get_state` found it; the goal stays.

        Raises:
            ValueError: A state of another size, or one that is not finite.
        """
        size = mujoco.mj_stateSize(self.model, FULL_STATE)
        state = np.asarray(state, np.float64)
        if state.shape != (size,) or not np.isfinite(state).all():
            raise ValueError(f"a state of {self.env_id} is {size} finite numbers, got shape {state.shape}: {state}")
        mujoco.mj_setState(self.model, self.data, state, FULL_STATE)
        self.control.refresh()

    def render(self) -> NDArray[np.uint8] | None:
        """Returns a frame for human eyes, `[height, width, 3]`, with the goal marked; None without a render mode."""
        if self.render_mode is None:
            return None
        width, height = self._frame_size
        backend = self.backend or choose_backend()
        return self._image("fixed", backend, width, height, markers=self._markers())

    def close(self) -> None:
        """Frees the renderers, if there are any."""
        self._forget_pictures()

    def alter(self, alteration: Alteration) -> None:
        """Makes the world otherwise than the model's file says."""
        alteration.apply(self.model)
        self._forget_pictures()

    def _forget_pictures(self) -> None:
        """Frees the renderers: what is drawn next is drawn as the model is then."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()

    def frames(self) -> Readings:
        """Returns what the cameras see, sensor name to `[image_size, image_size, 3]`, uint8; no goal is marked."""
        if self._vision is None:
            return {}
        size = self._vision.image_size
        return {name: self._image(camera, self.backend, size, size) for name, camera in self.cameras.items()}

    def _image(
        self, camera: str, backend: str, width: int, height: int, *, markers: Sequence[Marker] = ()
    ) -> NDArray[np.uint8]:
        key = (camera, backend, width, height)
        if key not in self._renderers:  # made lazily: who looks at nothing needs no renderer
            self._renderers[key] = make_renderer(self.model, camera=camera, width=width, height=height, backend=backend)
        return self._renderers[key].image(self.data, markers=markers)

    def _command(self, action: NDArray[np.float32]) -> None:
        components = np.asarray(action, np.float64)
        if components.shape != (self._action_dim,):
            raise ValueError(f"an action of {self.env_id} has shape ({self._action_dim},), got {components.shape}")
        length = math.hypot(*components.tolist())
        if not math.isfinite(length):
            raise ValueError(f"an action must be finite, got {components}")
        target = self._tip.copy()
        target[: self._action_dim] += components * (MAX_DISPLACEMENT / max(1.0, length))
        np.minimum(target, self._high, out=target)
        np.maximum(target, self._low, out=target)
        target -= self._tip
        way = math.sqrt(target @ target)
        if way > MAX_DISPLACEMENT:
            target *= MAX_DISPLACEMENT / way
        self.data.ctrl[:] = self.control.joint_velocity(target, duration=CONTROL_DT)

    def _draw_start(self) -> None:
        mujoco.mj_resetData(self.model, self.data)
        self._place_start(self.desired_goal)
        self.control.refresh()

    def _make_goal_space(self) -> gymnasium.spaces.Box:
        parts = self.goal_parts.values()
        return gymnasium.spaces.Box(
            low=np.concatenate([np.array(part.box.low[: part.size], np.float32) for part in parts]),
            high=np.concatenate([np.array(part.box.high[: part.size], np.float32) for part in parts]),
        )

    def _sample_goal(self) -> NDArray[np.float32]:
        low, high = self._goal_space.low, self._goal_space.high
        return self.np_random.uniform(low, high).astype(np.float32).clip(low, high)

    def _observe(self) -> NDArray[np.float32]:
        observation = np.empty(self._size, np.float32)
        observation[:3] = self._tip
        observation[3:10] = self._joint_position
        observation[10:17] = self._joint_velocity
        self._read_objects(observation)
        return observation

    def _unseen_readings(self) -> Readings:
        """Returns what `unseen_sensors` read now."""
        return {}

    def _judged(self, observation: NDArray[np.float32]) -> dict[str, Any]:
        distances = self.distances(observation[self._achieved], self.desired_goal)
        return {"is_success": bool(self._reached(distances)), "distances": distances}

    def _reached(self, distances: Mapping[str, NDArray[np.float32]]) -> NDArray[np.bool_]:
        """Returns where so little is left that a goal counts as reached."""
        near: NDArray[np.bool_] = distances[self._place_distance] <= self.success_radius
        return near

    def _complete(self, sensor: str, part: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the whole reading whose first numbers a goal gives: the others are at the lower corner of the box."""
        rest = np.array(self.goal_parts[sensor].box.low[part.shape[-1] :], np.float32)
        return np.concatenate([part, np.broadcast_to(rest, (*part.shape[:-1], len(rest)))], axis=-1)

    def checked_goal(self, goal: Any) -> NDArray[np.float32]:
        """Returns a flat goal as it is.

        Raises:
            ValueError: No goal of the task lies there.
        """
        checked = np.array(goal, np.float32)
        if not self._goal_space.contains(checked):
            low, high = self._goal_space.low, self._goal_space.high
            raise ValueError(f"a goal of {self.env_id} lies between {low} and {high}, got {goal}")
        return checked

    def goal_from(self, places: Mapping[str, NDArray[Any]], turns: Mapping[str, float]) -> NDArray[np.float32]:  # noqa: ARG002
        """Returns the flat goal with its places where people put them, as near as goals may lie.

        Args:
            places: Sensor of a place that the present goal asks for to where it was put, `[3]`, m.
            turns: The same to how it was turned about the vertical, rad.

        Raises:
            ValueError: There is no such goal.
        """
        wish = dict(self.goal_observation(self.desired_goal))
        for name, place in places.items():
            box = self.goal_parts[name].box
            wish[name] = np.clip(place, box.low, box.high).astype(np.float32)
        return self.checked_goal(self.flat_goal(wish).clip(self._goal_space.low, self._goal_space.high))

    def goal_turns(self) -> dict[str, float]:
        """Returns how the places that the goal asks for are turned about the vertical, where it says so, rad."""
        return {}

    def _markers(self) -> list[Marker]:
        """Returns what shows a human the goal."""
        place = next(iter(self.goal_observation(self.desired_goal).values()))
        return [Marker(position=place, radius=self.success_radius)]

    def _with_goals(self, observation: NDArray[np.float32]) -> Readings:
        return {
            "observation": observation,
            "achieved_goal": observation[self._achieved],
            "desired_goal": self.desired_goal.copy(),
            **self.frames(),
        }

    def _sources(self) -> list[Path]:
        return [ASSETS / "arm.xml", ASSETS / self.model_file]


def _check_cameras(model: Any, cameras: Iterable[str]) -> None:
    there = [model.camera(index).name for index in range(model.ncam)]
    for camera in cameras:
        if camera not in there:
            raise ValueError(f"cameras must be among {there}, got '{camera}'")


def _slices(sensors: Mapping[str, FlatSensor]) -> dict[str, slice]:
    """Sensor name to its place in the flat observation."""
    ends = np.cumsum([sensor.size for sensor in sensors.values()]).tolist()
    return {name: slice(end - sensor.size, end) for (name, sensor), end in zip(sensors.items(), ends, strict=True)}
