"""What a robot's task gives and takes. Read this first.

Time: `actions[t]` is executed after `observations[t]` and leads to `observations[t + 1]`.

A task does little more than to be reset and stepped. What else it can do, it says by one of the small protocols below;
who needs that asks for it by `isinstance`, and does without where it is missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from envs.alteration import Alteration
from envs.rendering.lens import Lens
from envs.spec import TaskSpec
from envs.vision import Vision

Readings = Mapping[str, NDArray[Any]]
"""Sensor name to its reading, `[*shape]`, in the sensor's unit."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What there is to be said of a moment, for those who judge. No agent ever sees it.

    Attributes:
        success: The goal is reached.
        distances: What is left to the goal: name to value and unit, as `{"tip": (0.12, "m")}`.
        terminated: The task is over, in success or in failure: nothing can follow.
        truncated: The task was cut short from outside, as by a clock of its own.
    """

    success: bool
    distances: Mapping[str, tuple[float, str]]
    terminated: bool
    truncated: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """A moment of an episode.

    Attributes:
        readings: What all sensors read, the named ones of `TaskSpec.sensors`.
        goal: What the agent is told to bring about: wished readings of `TaskSpec.asked`.
        verdict: For those who judge.
        num_redrawn: Starts that were thrown away before this one because they were solved already.
    """

    readings: Readings
    goal: Readings
    verdict: Verdict
    num_redrawn: int = 0


class Policy(Protocol):
    """Whoever acts. It sees the named sensors and the goal, and nothing else of the task."""

    def reset(self, goal: Readings, *, seed: int) -> None:
        """Forgets the last episode.

        Args:
            goal: Sensor name to the wished reading; sensors that are not asked for are absent.
            seed: Of everything that the policy draws in this episode.
        """
        ...

    def act(self, observation: Readings) -> NDArray[Any]:
        """Returns the next action `[action_dim]`, one of the task's."""
        ...


class Task(Protocol):
    """A robot, what it shall do, and who says whether it is done. An episode is a function of its seed and actions."""

    @property
    def spec(self) -> TaskSpec:
        """What others may know of it."""
        ...

    @property
    def criterion(self) -> str:
        """Says, for people, when a goal counts as reached."""
        ...

    def reset(self, seed: int) -> Frame:
        """Starts the episode of that seed."""
        ...

    def step(self, action: NDArray[Any], /) -> Frame:
        """Executes one action for one control period.

        Raises:
            ValueError: The action is none of the task's.
        """
        ...

    def close(self) -> None:
        """Frees what it holds, if it holds anything."""
        ...


class TaskFactory(Protocol):
    """Makes a task; it is pickled, so it is importable, or a partial of something importable."""

    def __call__(self, *, vision: Vision | None, film_size: int | None) -> Task:
        """Returns the task.

        Args:
            vision: The cameras that the agent sees by, or None for those that the task has by itself.
            film_size: Width and height of its pictures for people, pixels, or None where nobody films it.

        Raises:
            ValueError: It has no such cameras.
        """
        ...


@runtime_checkable
class HasExpert(Protocol):
    """A task that comes with a controller which reaches every goal: it proves that the goals can be reached."""

    def expert(self) -> Policy:
        """Returns the controller; it may look into the simulator."""
        ...


@runtime_checkable
class HasState(Protocol):
    """A task that can be put back exactly to where it was: what would have followed follows again, to the last bit."""

    def save(self) -> NDArray[Any]:
        """Returns all that the next states depend on, but the goal."""
        ...

    def restore(self, state: NDArray[Any]) -> None:
        """Puts the task where `save` found it, or another instance of it; the goal stays."""
        ...

    def advance(self, action: NDArray[Any], /) -> None:
        """Does what `step` does to the world, and looks at nothing."""
        ...

    def look(self) -> Readings:
        """Returns what all sensors read now."""
        ...

    def another(self) -> "HasState":
        """Returns a second world of the same task."""
        ...


@runtime_checkable
class PutAnywhere(HasState, Protocol):
    """A task whose starts and goals may be moments of other episodes."""

    def put(self, state: NDArray[Any], later: Readings) -> Frame | None:
        """Starts an episode where the task was saved, whose goal is what sensors read at a later moment.

        An agent is told of that goal what it would have seen then. Returns None, and is to be reset, where no goal of
        the task may lie there.
        """
        ...


@runtime_checkable
class HasCameras(Protocol):
    """A task that can be drawn."""

    def picture(self) -> NDArray[np.uint8]:
        """Returns what people are shown, `[film_size, film_size, 3]`, the goal marked in it.

        Raises:
            NothingRenders: Nothing renders on this machine; the message names the fix.
        """
        ...


@runtime_checkable
class HasLenses(Protocol):
    """A task whose cameras are known: where in a picture a point of the world lies."""

    def lens(self, sensor: str) -> Lens:
        """Returns the camera of a sensor, as it was when it last took a picture."""
        ...


@runtime_checkable
class Disturbable(Protocol):
    """A task in which somebody else can displace what is to be brought to its goal."""

    def displace(self, displacement: NDArray[np.float64]) -> bool:
        """Displaces it in the plane by `[2]`, m, in no time; returns False, and leaves all as it is, if it cannot be.

        There must be room, and what is displaced must not leave where goals lie, nor go farther outside.
        """
        ...


@runtime_checkable
class Alterable(Protocol):
    """A task whose world can be made otherwise than it was learned in."""

    def alter(self, alteration: Alteration) -> None:
        """Makes the world so, for all episodes to come; the same once more changes nothing."""
        ...


@runtime_checkable
class BreaksPhysics(Disturbable, Protocol):
    """A task in which what is to be brought to its goal can be made to do what nothing does: violation of expectation.

    For those who test whether a world model notices (Baillargeon 1987; IntPhys, Riochet et al. 2018).
    """

    def vanish(self) -> None:
        """Takes it away, until the task is put back to where it was, or reset."""
        ...

    def recolor(self) -> None:
        """Gives it another colour, until `obey` is called or the task is reset."""
        ...

    def let_pass(self) -> None:
        """Lets the robot pass through it, until `obey` is called or the task is reset."""
        ...

    def obey(self) -> None:
        """Lets everything look and collide as it does by nature."""
        ...


@runtime_checkable
class HasGoals(Protocol):
    """A task that can show what it would be like to have reached another goal; it goes on as if it had not."""

    def wish(self) -> Readings:
        """Returns the goal of the episode in numbers, even where the agent is told it in pictures."""
        ...

    def told(self, wish: Readings) -> Readings:
        """Returns what an agent is told of a goal: its numbers, or pictures of it."""
        ...

    def readings_at(self, wish: Readings) -> Readings:
        """Returns what all sensors would read with a goal reached."""
        ...


@runtime_checkable
class Viewable(Protocol):
    """A task that people can look at, and reach into, by MuJoCo's viewer while an episode goes on.

    They see a scene: a MuJoCo model of the world, in which each place that a goal asks for is a mocap body to drag it
    by. What they do to the scene's data becomes part of the world only by what is asked for here.
    """

    def scene(self) -> Any:
        """Returns the scene's `MjModel`."""
        ...

    def show(self, scene: Any, /) -> None:
        """Brings the scene's `MjData` to how the world and the goal are now; forces on it stay."""
        ...

    def feel(self, scene: Any, /) -> None:
        """Lets the forces on the scene's bodies act on the world, until others do or the task is reset."""
        ...

    def drag(self, scene: Any, /) -> Readings | None:
        """Moves the episode's goal to where its body is in the scene, as far as goals may lie there.

        Returns what an agent is told of the new goal, or None where it is the old one.
        """
        ...


@runtime_checkable
class HasMeasures(Protocol):
    """A task that has more to report of an episode than whether its goal was reached."""

    def measures(self, observations: Readings) -> dict[str, float]:
        """Returns name to number for an episode's readings `[num_steps + 1, *shape]`; none reaches a learner."""
        ...
