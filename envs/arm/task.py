"""Our arm as a task: it enters by the same door as any other robot."""

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from envs.alteration import Alteration
from envs.arm.mujoco_env import Expert, MujocoEnv
from envs.arm.push import PushEnv
from envs.arm.push_two import PushTwoEnv
from envs.arm.reach_gate import ReachGateEnv
from envs.arm.scene import drag_goal, feel_forces, scene_model, show_world
from envs.rendering.lens import Lens
from envs.spec import TaskSpec
from envs.types import Frame, Readings, Verdict
from envs.vision import Vision
from jepa_mpc.errors import UserError

MIN_MOVE = 5e-4
"""A block that moves less in a step is at rest, m."""


def make_task(*, env_id: str, vision: Vision | None, film_size: int | None) -> "ArmTask":
    """Returns a task of our arm.

    Args:
        env_id: As in `gymnasium.make`; a file that registers its own is imported by `that.file:its/Id-v0`.
        vision: The cameras that the agent sees by.
        film_size: Width and height of pictures for people, pixels, or None for none.

    Raises:
        UserError: It is no task of our arm.
        ValueError: It has no such cameras.
    """
    options: dict[str, Any] = {} if vision is None else {"vision": vision}
    if film_size is not None:
        options |= {"render_mode": "rgb_array", "width": film_size, "height": film_size}
    try:
        env = gymnasium.make(env_id, disable_env_checker=True, **options).unwrapped
    except (ImportError, gymnasium.error.UnregisteredEnv) as error:
        raise UserError(f"env.env_id must be a registered task, got {env_id}: {' '.join(str(error).split())}") from None
    if not isinstance(env, MujocoEnv):
        raise UserError(f"env.env_id must be a task of the arm, got {env_id}: envs.adapters.gymnasium takes any other")
    return next(task for kind, task in _TASKS if isinstance(env, kind))(env)


class ArmTask:
    """An environment of our arm, whose episodes last as long as one likes.

    Args:
        env: The environment.
        original: Another world of the same task, by whose renderer the sensors are drawn here too; None for its own.
    """

    def __init__(self, env: MujocoEnv, *, original: "ArmTask | None" = None) -> None:
        self.env = env
        self._original = original
        self._goal: Readings = {}
        self._altered: Alteration | None = None

    @property
    def spec(self) -> TaskSpec:
        """What others may know of it."""
        return self.env.description

    @property
    def criterion(self) -> str:
        """Says, for people, when a goal counts as reached."""
        return self.env.criterion

    def reset(self, seed: int) -> Frame:
        """Starts the episode of that seed."""
        state, info = self.env.reset(seed=seed)
        self._goal = self.env.goal_readings(state["desired_goal"])
        return self._frame(state, info, num_redrawn=info["redrawn"])

    def step(self, action: NDArray[Any], /) -> Frame:
        """Executes one action for one control period."""
        state, _, _, _, info = self.env.step(action)
        return self._frame(state, info)

    def alter(self, alteration: Alteration) -> None:
        """Makes the world otherwise than it was learned in, for all episodes to come."""
        if alteration == self._altered:
            return
        if self._altered is not None:
            raise ValueError(f"a world is altered once, to {self._altered}, got {alteration}")
        self.env.alter(alteration)
        self._altered = alteration

    def close(self) -> None:
        """Frees the renderers."""
        self.env.close()

    def expert(self) -> Expert:
        """Returns a controller that reaches every goal."""
        return self.env.expert()

    def save(self) -> NDArray[np.float64]:
        """Returns all that the next states depend on, but the goal."""
        return self.env.get_state()

    def restore(self, state: NDArray[np.float64]) -> None:
        """Puts the arm where `save` found it; the goal stays."""
        if self._original is not None and self._original._altered is not None:
            self.alter(self._original._altered)
        self.env.set_state(state)

    def advance(self, action: NDArray[Any], /) -> None:
        """Does what `step` does to the world, and looks at nothing."""
        self.env.advance(action)

    def look(self) -> Readings:
        """Returns what all sensors read now."""
        if self._original is not None:
            self.env.backend = self._original.env.backend
        return self.env.readings()

    def put(self, state: NDArray[np.float64], later: Readings) -> Frame | None:
        """Starts an episode from a saved state, with the goal that is reached where all is as it was read later."""
        try:
            goal = self.env.checked_goal(self.env.flat_goal(later))
        except ValueError:
            return None
        observed, info = self.env.reset(options={"goal": goal, "state": state})
        wish = self.env.goal_observation(goal)
        self._goal = {name: wish.get(name, later[name]) for name in self.spec.asked}
        return self._frame(observed, info)

    def another(self) -> "ArmTask":
        """Returns a second world of the same task, whose frames are drawn as they are here, episode by episode."""
        return type(self)(self.env.another(), original=self)

    def picture(self) -> NDArray[np.uint8]:
        """Returns what people are shown, the goal marked in it."""
        picture = self.env.render()
        assert picture is not None, "the task was not made to be filmed"
        return picture

    def lens(self, sensor: str) -> Lens:
        """Returns the camera of a sensor, as it was when it last took a picture."""
        return Lens.of(self.env.model, self.env.data, self.env.cameras[sensor])

    def wish(self) -> Readings:
        """Returns the goal of the episode in numbers."""
        return self.env.goal_observation(self.env.desired_goal)

    def told(self, wish: Readings) -> Readings:
        """Returns what an agent is told of a goal: its numbers, or pictures of it."""
        return self.env.goal_readings(self.env.flat_goal(wish))

    def readings_at(self, wish: Readings) -> Readings:
        """Returns what all sensors would read with a goal reached."""
        return self.env.readings_at(self.env.flat_goal(wish))

    def scene(self) -> Any:
        """Returns what people see of it in MuJoCo's viewer, a `MjModel`."""
        return scene_model(self.env)

    def show(self, scene: Any, /) -> None:
        """Brings the scene's `MjData` to how the arm, its objects and the goal are now."""
        show_world(self.env, scene)

    def feel(self, scene: Any, /) -> None:
        """Lets the forces on the scene's bodies act on the arm and its objects."""
        feel_forces(self.env, scene)

    def drag(self, scene: Any, /) -> Readings | None:
        """Moves the goal to where it was dragged, and returns what an agent is told of it; None where it was not."""
        if not drag_goal(self.env, scene):
            return None
        self._goal = self.env.goal_readings(self.env.desired_goal)
        return self._goal

    def _frame(self, state: Mapping[str, NDArray[Any]], info: Mapping[str, Any], num_redrawn: int = 0) -> Frame:
        distances = {name: (float(left), self.env.distance_units[name]) for name, left in info["distances"].items()}
        return Frame(
            readings=self.env.sensor_readings(state),
            goal=self._goal,
            verdict=Verdict(success=info["is_success"], distances=distances, terminated=False, truncated=False),
            num_redrawn=num_redrawn,
        )


class PushTask(ArmTask):
    """An environment with a block, which somebody else may shove, or make do what no block does."""

    env: PushEnv

    def reset(self, seed: int) -> Frame:
        """Starts the episode of that seed, in which all is natural."""
        self.env.obey()
        return super().reset(seed)

    def displace(self, displacement: NDArray[np.float64]) -> bool:
        """Displaces the block along the table, if there is room and it does not leave its area, or farther."""
        before, outside = self.env.get_state(), self._outside()
        self.env.displace_block(displacement)
        if self._outside() <= outside and self.env.clearance() > 0:
            return True
        self.env.set_state(before)
        return False

    def vanish(self) -> None:
        """Takes the block away, until the arm is put back to where it was."""
        self.env.vanish_block()

    def recolor(self) -> None:
        """Gives the block another colour, until `obey` is called."""
        self.env.recolor_block()

    def let_pass(self) -> None:
        """Lets the finger pass through the block, until `obey` is called."""
        self.env.let_pass()

    def obey(self) -> None:
        """Lets the block look and collide as it does by nature."""
        self.env.obey()

    def measures(self, observations: Readings) -> dict[str, float]:
        """Returns the share of steps in which a block moves, and whether the centre of one left the goals' area."""
        moves, left = [], False
        for name, area in self.spec.goal.items():
            if self.spec.sensors[name].unit != "m":
                continue
            planar = np.less(area.low, area.high)
            position = observations[name][:, planar].astype(np.float64)
            low, high = np.asarray(area.low)[planar], np.asarray(area.high)[planar]
            moves.append(np.linalg.norm(np.diff(position, axis=0), axis=1) > MIN_MOVE)
            left = left or bool(((position < low) | (position > high)).any())
        return {"block_moving": float(np.any(moves, axis=0).mean()), "block_left": float(left)}

    def _outside(self) -> float:
        """Returns how far the block's centre is outside its area, m."""
        area, block = self.spec.goal["block_position"], self.env.block_position()[:2]
        low, high = np.array(area.low[:2]), np.array(area.high[:2])
        return float(np.linalg.norm(np.maximum(0, np.maximum(low - block, block - high))))


class PushTwoTask(PushTask):
    """An environment with two blocks, of which somebody may shove the first that is asked for."""

    def measures(self, observations: Readings) -> dict[str, float]:
        """Returns what pushing has to report, and which blocks the episode's goal asks for: 1 for each that it does."""
        asked = self.wish()
        return super().measures(observations) | {f"{name}_asked": float(name in asked) for name in self.spec.goal}


class ReachGateTask(ArmTask):
    """An environment with a gate, at which a way can end."""

    def measures(self, observations: Readings) -> dict[str, float]:
        """Returns whether the bar swung, whether anything was touched and in how many steps, and the tip's way, m.

        The way ends where the goal is first reached, or with the episode.
        """
        touch, tip = observations["touch"][:, 0], observations["tip"].astype(np.float64)
        reached = np.linalg.norm(tip - self.wish()["tip"], axis=1) <= self.env.success_radius
        steps = np.linalg.norm(np.diff(tip, axis=0), axis=1)
        return {
            "bar_swung": float(observations["bar_angle"][-1, 0] != 0),
            "collided": float((touch > 0).any()),
            "touching_steps": float((touch > 0).sum()),
            "way": float(steps[: int(reached.argmax()) if reached.any() else None].sum()),
        }


_TASKS: tuple[tuple[type[MujocoEnv], type[ArmTask]], ...] = (
    (ReachGateEnv, ReachGateTask),
    (PushTwoEnv, PushTwoTask),
    (PushEnv, PushTask),
    (MujocoEnv, ArmTask),
)
"""Kinds of environments, the special ones first, and what makes tasks of them."""
