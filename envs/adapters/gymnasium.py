"""Any environment of Gymnasium as a task: its yaml says what is what, and no Python is needed.

An environment that keeps the contract of goal environments (a dictionary of `observation`, `achieved_goal` and
`desired_goal`) may leave `sensors` and `goal` null. Of any other one the yaml says which part of the observation an
agent sees, what a goal asks of it, and when it is reached:

    sensors:
      fingertip: {reads: "observation[8:10] + observation[4:6]", unit: m}
    goal:
      fingertip: observation[4:6] # or numbers, as in [0.0, 0.0]
    success:
      within: {fingertip: 0.02} # in the sensor's unit

What `goal` names is not observed unless a sensor reads it.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

import gymnasium
import numpy as np
from farama_notifications import notifications
from numpy.typing import NDArray

from envs.adapters.formula import Formula
from envs.rendering import FIXES, NothingRenders, choose_backend
from envs.simulator import mujoco
from envs.spec import SENSOR_NAME, TASK_ID, Actions, Box, BoxActions, DiscreteActions, Effector, Sensor, TaskSpec
from envs.types import Frame, Readings, Verdict
from envs.vision import Vision
from jepa_mpc.errors import ForeignFault, UserError
from jepa_mpc.ranges import check_count, check_number

_BACKEND = "MUJOCO_GL"
_ACHIEVED, _DESIRED = "achieved_goal", "desired_goal"
_SAYS_SUCCESS = ("is_success", "success")
"""Where environments say in their info that the goal is reached."""


class AdapterError(UserError):
    """An environment that cannot be had, or a yaml that does not fit it; the message is one sentence."""


def make_task(
    *,
    env_id: str,
    extra: str | None,
    options: Mapping[str, Any],
    sensors: Mapping[str, Mapping[str, str]] | None,
    goal: Mapping[str, str | Sequence[float]] | None,
    success: Mapping[str, Any] | None,
    idle: Sequence[float] | int | None,
    control_dt: float | None,
    num_steps: int | None,
    effector: Mapping[str, Any] | None,
    vision: Vision | None,
    film_size: int | None,
) -> "GymnasiumTask":
    """Returns a task of somebody else's environment.

    Args:
        env_id: As in `gymnasium.make`; a package that registers it is imported by `package:its/Id-v0`.
        extra: Which of our extras brings that package, or None.
        options: Further arguments of `gymnasium.make`.
        sensors: Name to what it reads and in which unit; None for every entry that is no goal, under its own name.
        goal: Sensor to what it should read, in entries of the observation or in numbers; None for that of a goal
            environment.
        success: When a goal is reached: `{"within": {sensor: distance}}`, or `{"info": key}` for what the environment
            says; None for what it says as `is_success` or `success`.
        idle: The action that does nothing: numbers, or the index of a discrete one; None where there is none.
        control_dt: Control period, s; None for what the environment says.
        num_steps: Control steps of an episode; None for what the environment says.
        effector: `sensor`, `workspace` (of `low` and `high`) and `max_displacement`, see `Effector`, or None.
        vision: None: an environment shows what it shows.
        film_size: Width and height of pictures for people, pixels, or None for none.

    Raises:
        AdapterError: There is no such environment, or something does not fit it.
    """
    if vision is not None:
        raise AdapterError(
            f"cameras must be none, got {list(vision.cameras)}: {env_id} shows the images that are entries of its "
            "observation and no others; choose observation=state"
        )
    check_number("control_dt", control_dt, above=0, null=True)
    check_count("num_steps", num_steps, least=1, null=True)
    mappings = {"options": options, "sensors": sensors, "goal": goal, "success": success, "effector": effector}
    for key, value in mappings.items():
        if not isinstance(value, Mapping) and (value is not None or key == "options"):
            or_null = "" if key == "options" else ", or null"
            raise AdapterError(f"{key} must be a mapping, as in configs/env/reacher.yaml{or_null}, got {value!r}")
    if not isinstance(env_id, str) or not TASK_ID.fullmatch(env_id.rpartition(":")[2]):
        raise AdapterError(f"env_id must be as in gymnasium.make, of letters, digits and any of _./-, got {env_id!r}")
    env = _make(env_id, extra, options)
    if film_size is not None and "rgb_array" in (env.metadata or {}).get("render_modes", ()):
        env.close()
        env = _make(env_id, extra, {**options, "render_mode": "rgb_array"})
    return GymnasiumTask(
        env,
        name=env_id.rpartition(":")[2],
        identity={"id": env_id, "options": dict(options), "versions": _versions(env_id)},
        sensors=sensors,
        goal=goal,
        success=success,
        idle=idle,
        control_dt=control_dt,
        num_steps=num_steps,
        effector=effector,
        film_size=film_size,
    )


class GymnasiumTask:
    """Somebody else's environment; see `make_task`.

    Args:
        env: The environment; its own time limit does not cut episodes.
        name: What it is called.
        identity: What its physics depend on, beside its model; plain JSON.
        sensors: See `make_task`, as all that follows.
        goal: What sensors should read.
        success: When that is reached.
        idle: The action that does nothing.
        control_dt: s.
        num_steps: Of an episode.
        effector: What is sent somewhere.
        film_size: Of pictures, pixels.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        *,
        name: str,
        identity: Mapping[str, Any],
        sensors: Mapping[str, Mapping[str, str]] | None,
        goal: Mapping[str, str | Sequence[float]] | None,
        success: Mapping[str, Any] | None,
        idle: Sequence[float] | int | None,
        control_dt: float | None,
        num_steps: int | None,
        effector: Mapping[str, Any] | None,
        film_size: int | None,
    ) -> None:
        self._env = env
        self._name = name
        self._film_size = film_size
        fingerprint = _fingerprint(env, identity)  # before the first reset: some draw their goal into the model
        with _theirs(name):
            first, info = env.reset(seed=0)
        entries = _flatten(first, env.observation_space, name)
        self._goal, self._constants = self._goal_formulas(goal, entries)
        self._sensors, units = self._sensor_formulas(sensors, entries)
        if unread := sorted((self._goal.keys() | self._constants.keys()) - set(self._sensors)):
            raise AdapterError(f"goal must name sensors of {name} among {sorted(self._sensors)}, got {unread}")
        readings = {sensor: self._read(sensor, formula, entries) for sensor, formula in self._sensors.items()}
        wished = self._wished(entries)
        for sensor, wish in wished.items():
            if wish.shape != readings[sensor].shape:
                raise AdapterError(
                    f"goal.{sensor} must have the shape of the sensor, {readings[sensor].shape}, got {wish.shape}"
                )
        for sensor in self._sensors:
            if not SENSOR_NAME.fullmatch(sensor):
                raise AdapterError(
                    f"a sensor of {name} must be called by lower-case letters, digits and _, got '{sensor}': say under "
                    f"sensors what it is called, as in {{hand: {{reads: \"'{sensor}'\", unit: m}}}}"
                )
        self._units = {sensor: units[sensor] for sensor in wished}
        self._within, self._says_success = self._criterion(success, wished, info)
        self._spec = TaskSpec(
            task_id=name,
            fingerprint=fingerprint,
            sensors={sensor: _sensor(sensor, reading, units[sensor]) for sensor, reading in readings.items()},
            perceived=tuple(readings),
            asked=tuple(wished),
            goal={},
            actions=_actions(env.action_space, idle, name),
            control_dt=_control_dt(env, name) if control_dt is None else control_dt,
            num_steps=_num_steps(env, name) if num_steps is None else num_steps,
            effector=None if effector is None else _effector(effector, readings, name),
        )

    @property
    def spec(self) -> TaskSpec:
        """What others may know of it."""
        return self._spec

    @property
    def criterion(self) -> str:
        """Says, for people, when a goal counts as reached."""
        if self._says_success is not None:
            return f"as {self._name} says itself, by '{self._says_success}'"
        near = (f"{name} within {most:g} {self._units[name]}".rstrip() for name, most in self._within.items())
        return f"{' and '.join(near)} of its goal"

    def reset(self, seed: int) -> Frame:
        """Starts the episode of that seed.

        Raises:
            ForeignFault: The environment fails.
        """
        with _theirs(self._name):
            observation, info = self._env.reset(seed=seed)
        return self._frame(observation, info, terminated=False, truncated=False)

    def step(self, action: NDArray[Any], /) -> Frame:
        """Executes one action for one control period.

        Raises:
            ValueError: It is none of the task's actions.
            ForeignFault: The environment fails.
        """
        if not self._spec.actions.admits(np.asarray(action)):
            raise ValueError(f"an action of {self._name} is {self._spec.actions}, got {action}")
        with _theirs(self._name):
            observation, _, terminated, truncated, info = self._env.step(self._command(action))
        return self._frame(observation, info, terminated=bool(terminated), truncated=bool(truncated))

    def close(self) -> None:
        """Closes the environment."""
        with _theirs(self._name):
            self._env.close()

    def picture(self) -> NDArray[np.uint8]:
        """Returns what the environment draws, square and in the size of a film.

        Raises:
            NothingRenders: It draws nothing here.
        """
        try:
            with _graphics(self._env):
                drawn = self._env.render()
        except Exception as error:  # whatever its graphics library raises
            raise NothingRenders(
                f"{self._name} cannot be drawn here ({' '.join(str(error).split()) or type(error).__name__})"
            ) from error
        if not isinstance(drawn, np.ndarray) or drawn.ndim != 3:
            raise NothingRenders(f"{self._name} cannot be drawn: it knows no pictures as arrays")
        assert self._film_size is not None, "the task was not made to be filmed"
        return _square(drawn, self._film_size)

    def __reduce__(self) -> NoReturn:
        """Refuses to be copied: what a copy of somebody else's simulation still shares with it, nobody knows.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"a task of {self._name} cannot be copied: make another one")

    def _frame(self, observation: Any, info: Mapping[str, Any], *, terminated: bool, truncated: bool) -> Frame:
        entries = _flatten(observation, self._env.observation_space, self._name)
        readings = {sensor: self._read(sensor, formula, entries) for sensor, formula in self._sensors.items()}
        wished = self._wished(entries)
        distances = {
            sensor: (float(np.linalg.norm(np.subtract(readings[sensor], wish, dtype=np.float64))), self._units[sensor])
            for sensor, wish in wished.items()
        }
        if self._says_success is None:
            success = all(distances[sensor][0] <= most for sensor, most in self._within.items())
        else:
            success = bool(info.get(self._says_success, False))
        verdict = Verdict(success=success, distances=distances, terminated=terminated, truncated=truncated)
        return Frame(readings=readings, goal=wished, verdict=verdict)

    def _read(self, name: str, formula: Formula, entries: Readings) -> NDArray[Any]:
        try:
            return formula.read(entries)
        except KeyError as error:
            raise AdapterError(
                f"{name} must read entries of {self._name}'s observation, {sorted(entries)}, got {error}"
            ) from None
        except (ValueError, IndexError) as error:
            raise AdapterError(f"{name} cannot be read off {self._name}'s observation: {error}") from None

    def _wished(self, entries: Readings) -> dict[str, NDArray[Any]]:
        return {
            **{sensor: self._read(f"goal.{sensor}", formula, entries) for sensor, formula in self._goal.items()},
            **{sensor: constant.copy() for sensor, constant in self._constants.items()},
        }

    def _command(self, action: NDArray[Any]) -> Any:
        """Returns an action as the environment takes it."""
        space = self._env.action_space
        if isinstance(space, gymnasium.spaces.Discrete):
            return int(space.start + np.argmax(action))
        assert isinstance(space, gymnasium.spaces.Box)
        return np.clip(np.asarray(action, space.dtype).reshape(space.shape), space.low, space.high)

    def _goal_formulas(
        self, goal: Mapping[str, str | Sequence[float]] | None, entries: Readings
    ) -> tuple[dict[str, Formula], dict[str, NDArray[np.float32]]]:
        """Returns what a goal reads off the observation, and what of it is always the same."""
        if goal is None:
            if not {_ACHIEVED, _DESIRED} <= set(entries):
                raise AdapterError(
                    f"goal must say which sensor of {self._name} should read what, as in {{hand: desired_goal}}: it "
                    f"is no goal environment, its observation has the entries {sorted(entries)}"
                )
            goal = {_ACHIEVED: _DESIRED}
        if not goal:
            raise AdapterError(f"goal must name at least one sensor of {self._name}, got none")
        formulas, constants = {}, {}
        for sensor, wish in goal.items():
            if isinstance(wish, str):
                formulas[sensor] = _parsed(f"goal.{sensor}", wish)
                continue
            try:
                constants[sensor] = np.atleast_1d(np.array(wish, np.float32))
            except (TypeError, ValueError):
                raise AdapterError(
                    f"goal.{sensor} must be entries of the observation or numbers, got {wish!r}"
                ) from None
        return formulas, constants

    def _sensor_formulas(
        self, sensors: Mapping[str, Mapping[str, str]] | None, entries: Readings
    ) -> tuple[dict[str, Formula], dict[str, str]]:
        """Returns what each sensor reads, and its unit."""
        if sensors is None:
            goals = {entry for formula in self._goal.values() for entry in formula.entries}
            names = [entry for entry in entries if entry not in goals]
            return {name: Formula.of(name) for name in names}, dict.fromkeys(names, "")
        if not sensors:
            raise AdapterError(f"sensors must name at least one of {self._name}, or be null for all, got none")
        for name, values in sensors.items():
            whole = isinstance(values, Mapping) and set(values) == {"reads", "unit"}
            if not whole or not isinstance(values["unit"], str):
                raise AdapterError(f"sensors.{name} must be like {{reads: observation[0:3], unit: m}}, got {values!r}")
        formulas = {name: _parsed(f"sensors.{name}.reads", values["reads"]) for name, values in sensors.items()}
        return formulas, {name: values["unit"] for name, values in sensors.items()}

    def _criterion(
        self, success: Mapping[str, Any] | None, wished: Readings, info: Mapping[str, Any]
    ) -> tuple[dict[str, float], str | None]:
        """Returns how near each sensor must be, or else the key by which the environment says it."""
        if success is None:
            says = next((key for key in _SAYS_SUCCESS if key in info), None)
            if says is None:
                raise AdapterError(
                    f"success must say when a goal of {self._name} is reached, as in {{within: {{hand: 0.02}}}} or "
                    f"{{info: is_success}}: the environment itself says nothing as {' or '.join(_SAYS_SUCCESS)}"
                )
            return {}, says
        if set(success) == {"info"} and isinstance(success["info"], str):
            return {}, success["info"]
        within = success.get("within")
        if set(success) != {"within"} or not isinstance(within, Mapping) or not within:
            raise AdapterError(
                f"success must be like {{within: {{hand: 0.02}}}} or {{info: is_success}}, got {dict(success)}"
            )
        for sensor, most in within.items():
            if sensor not in wished or isinstance(most, bool) or not isinstance(most, int | float) or not most >= 0:
                raise AdapterError(
                    f"success.within must give sensors of the goal, {sorted(wished)}, a distance of at least 0, got "
                    f"{sensor}: {most!r}"
                )
        return {sensor: float(most) for sensor, most in within.items()}, None


def _make(env_id: str, extra: str | None, options: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
    """Makes an environment that no clock of its own cuts."""
    try:
        with _without_notices(), _theirs(env_id, but=(ImportError, gymnasium.error.Error, TypeError)):
            return gymnasium.make(env_id, max_episode_steps=-1, disable_env_checker=True, **options)
    except TypeError as error:
        if "keyword argument" not in str(error):
            raise ForeignFault(_failure(env_id, error)) from error
        raise AdapterError(f"options must be arguments of {env_id}, got {dict(options)}: {_one_line(error)}") from None
    except (ImportError, gymnasium.error.Error) as error:
        remedy = "" if extra is None else f": pip install 'jepa-mpc[{extra}]'"
        raise AdapterError(f"{env_id} cannot be had here ({_one_line(error)}){remedy}") from None


@contextmanager
def _theirs(name: str, *, but: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Says whose fault it is where an environment fails.

    Raises:
        ForeignFault: It raised something else than what is named in `but`.
    """
    try:
        yield
    except but:
        raise
    except Exception as error:
        raise ForeignFault(_failure(name, error)) from error


def _failure(name: str, error: Exception) -> str:
    return f"{name} failed, and not jepa-mpc: {type(error).__name__}: {_one_line(error)}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


@contextmanager
def _without_notices() -> Iterator[None]:
    """Lets packages be imported that would print notices about environments which nobody asked for."""
    kept = dict(notifications)
    notifications.clear()
    try:
        yield
    finally:
        notifications.update(kept)


def _versions(env_id: str) -> dict[str, str]:
    """Returns the versions on which the physics of an environment may depend."""
    versions = {}
    for package in {"gymnasium", "mujoco", *filter(None, [env_id.rpartition(":")[0].partition(".")[0]])}:
        try:
            versions[package] = version(package.replace("_", "-"))
        except PackageNotFoundError:  # a file of the user's own
            continue
    return versions


def _fingerprint(env: gymnasium.Env[Any, Any], identity: Mapping[str, Any]) -> str:
    """Returns a hash of what is known of the physics: the compiled model where there is one, and what made it."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode())
    model = getattr(env.unwrapped, "model", None)
    if isinstance(model, mujoco.MjModel):
        buffer = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
        mujoco.mj_saveModel(model, None, buffer)
        digest.update(buffer.tobytes())
    return digest.hexdigest()


def _flatten(observation: Any, space: gymnasium.Space[Any], name: str) -> dict[str, NDArray[Any]]:
    """Returns the entries of an observation; those of a dictionary in a dictionary have its name before a dot."""
    if not isinstance(space, gymnasium.spaces.Dict):
        return {"observation": _array(observation, space, name)}
    entries: dict[str, NDArray[Any]] = {}
    for key, part in space.spaces.items():
        if isinstance(part, gymnasium.spaces.Dict):
            entries |= {f"{key}.{inner}": it for inner, it in _flatten(observation[key], part, name).items()}
        else:
            entries[key] = _array(observation[key], part, name)
    return entries


def _array(value: Any, space: gymnasium.Space[Any], name: str) -> NDArray[Any]:
    if isinstance(space, gymnasium.spaces.Discrete):
        one_hot = np.zeros(int(space.n), np.float32)
        one_hot[int(value - space.start)] = 1
        return one_hot
    if isinstance(space, gymnasium.spaces.Box | gymnasium.spaces.MultiBinary | gymnasium.spaces.MultiDiscrete):
        return np.atleast_1d(np.asarray(value))
    raise AdapterError(f"the observation of {name} must be numbers or images, got a {type(space).__name__}")


def _sensor(name: str, reading: NDArray[Any], unit: str) -> Sensor:
    try:
        sensor = Sensor(shape=reading.shape, kind="image" if reading.dtype == np.uint8 else "numbers", unit=unit)
    except ValueError as error:
        raise AdapterError(f"the sensor '{name}' cannot be read: {error}") from None
    if reading.ndim == 3 and reading.shape[2] == 3 and not sensor.is_image:
        raise AdapterError(f"the sensor '{name}' must show pictures as whole numbers of 8 bits, uint8, got others")
    return sensor


def _actions(space: gymnasium.Space[Any], idle: Any, name: str) -> Actions:
    try:
        if isinstance(space, gymnasium.spaces.Discrete):
            return DiscreteActions(num_actions=int(space.n), idle=idle)
        if isinstance(space, gymnasium.spaces.Box):
            low, high = (np.float32(corner).ravel().tolist() for corner in (space.low, space.high))
            still = None if idle is None else tuple(np.float32(idle).ravel().tolist())
            return BoxActions(low=tuple(low), high=tuple(high), idle=still)
    except (TypeError, ValueError) as error:
        raise AdapterError(f"the actions of {name} cannot be taken: {error}") from None
    raise AdapterError(f"the actions of {name} must be a Box or Discrete, got {space}")


def _control_dt(env: gymnasium.Env[Any, Any], name: str) -> float:
    dt = getattr(env.unwrapped, "dt", None)
    if isinstance(dt, int | float) and 0 < dt < math.inf:
        return float(dt)
    rate = (env.metadata or {}).get("render_fps")
    if not isinstance(rate, int | float) or not rate > 0:
        raise AdapterError(f"control_dt must be given: {name} says neither its period nor how fast it is drawn")
    return 1 / rate


def _num_steps(env: gymnasium.Env[Any, Any], name: str) -> int:
    made = None if env.spec is None else gymnasium.registry.get(env.spec.id)
    if made is None or made.max_episode_steps is None:
        raise AdapterError(f"num_steps must be given: {name} does not say how long an episode is")
    return int(made.max_episode_steps)


def _effector(values: Mapping[str, Any], readings: Readings, name: str) -> Effector:
    try:
        box = Box(*(tuple(map(float, values["workspace"][corner])) for corner in ("low", "high")))
        effector = Effector(
            sensor=str(values["sensor"]), workspace=box, max_displacement=float(values["max_displacement"])
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AdapterError(
            "effector must be null or like {sensor: hand, workspace: {low: [0, 0, 0], high: [1, 1, 1]}, "
            f"max_displacement: 0.03}}, got {dict(values)} ({error!r})"
        ) from None
    check_number("effector.max_displacement", effector.max_displacement, above=0)
    if effector.sensor not in readings:
        raise AdapterError(f"effector.sensor must be one of {name}'s, {sorted(readings)}, got {effector.sensor}")
    if not len(box.low) == len(box.high) == readings[effector.sensor].size:
        raise AdapterError(
            f"effector.workspace must have as many numbers as '{effector.sensor}' reads, "
            f"{readings[effector.sensor].size}, got {dict(values['workspace'])}"
        )
    if not np.less_equal(box.low, box.high).all():
        raise AdapterError(f"effector.workspace must have low nowhere above high, got {dict(values['workspace'])}")
    return effector


def _parsed(key: str, text: object) -> Formula:
    try:
        return Formula.parse(text)
    except ValueError as error:
        raise AdapterError(f"{key}: {error}") from None


@contextmanager
def _graphics(env: gymnasium.Env[Any, Any]) -> Iterator[None]:
    """Lets Gymnasium's MuJoCo draw by what renders here, where nobody said by what: it asks `MUJOCO_GL` and no further.

    Raises:
        NothingRenders: Nothing of OpenGL renders here.
    """
    if not isinstance(getattr(env.unwrapped, "model", None), mujoco.MjModel) or os.environ.get(_BACKEND):
        yield
        return
    backend = choose_backend()
    if backend not in FIXES:
        raise NothingRenders(f"Gymnasium draws by OpenGL: {FIXES['egl']}")
    os.environ[_BACKEND] = backend
    try:
        yield
    finally:
        del os.environ[_BACKEND]


def _square(picture: NDArray[Any], size: int) -> NDArray[np.uint8]:
    """Returns a picture on a black square, in another size."""
    height, width = picture.shape[:2]
    side = max(height, width)
    square = np.zeros((side, side, 3), np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture[..., :3]
    rows = np.arange(size) * side // size
    resized: NDArray[np.uint8] = square[rows[:, None], rows]
    return resized
