"""Who acts while a robot explores, whichever robot it is. None of them knows a goal or a success.

They draw values in units of the robot's actions: each component of a box from -1 to 1, and of discrete actions the one
whose value is largest.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.spec import BoxActions, TaskSpec
from envs.types import Readings
from jepa_mpc.ranges import check_number

Behaviour = Callable[[Readings], NDArray[Any]]
"""What to do as long as nothing new is taken up: named sensors to values in units of the actions, not yet clipped."""


class Zero:
    """Does nothing.

    Args:
        spec: Of a task in which an action does nothing.

    Raises:
        ValueError: There is no such action.
    """

    def __init__(self, spec: TaskSpec) -> None:
        action = spec.actions.idle_action
        if action is None:
            raise ValueError(f"there is no action of {spec.task_id} that does nothing")
        self._action = action

    def reset(self, goal: Readings, *, seed: int) -> None:
        """There is nothing to forget."""

    def act(self, observation: Readings) -> NDArray[np.float32]:  # noqa: ARG002 - it is blind
        """Returns the action that does nothing."""
        return self._action.copy()


class UniformRandom:
    """Draws every action anew, from all that there are.

    Args:
        spec: Of the task.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self._actions = spec.actions
        self._rng = np.random.default_rng(0)

    def reset(self, goal: Readings, *, seed: int) -> None:  # noqa: ARG002 - it knows no goal
        """Starts anew from the seed."""
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Readings) -> NDArray[np.float32]:  # noqa: ARG002 - it is blind
        """Returns the next draw."""
        return self._actions.from_unit(self._rng.uniform(-1, 1, self._actions.action_dim))


class SmoothNoise:
    """Drifts: an Ornstein-Uhlenbeck process, clipped to the actions.

    Args:
        spec: Of the task.
        correlation: Of one component of an action with the next action's, in [0, 1).
        std: Of a component before it is clipped, in units of the actions, above 0.
    """

    def __init__(self, spec: TaskSpec, *, correlation: float, std: float) -> None:
        if not 0 <= correlation < 1 or not std > 0:
            raise ValueError(f"correlation must be in [0, 1) and std above 0, got {correlation} and {std}")
        self._actions = spec.actions
        self._correlation = correlation
        self._std = std
        self._rng = np.random.default_rng(0)
        self._drift = np.zeros(spec.action_dim)

    def reset(self, goal: Readings, *, seed: int) -> None:  # noqa: ARG002 - it knows no goal
        """Starts anew from the seed."""
        self._rng = np.random.default_rng(seed)
        self._drift = self._rng.normal(0, self._std, self._actions.action_dim)

    def act(self, observation: Readings) -> NDArray[np.float32]:  # noqa: ARG002 - it is blind
        """Returns where the drift is."""
        fresh = self._rng.normal(0, self._std, self._actions.action_dim)
        self._drift = self._correlation * self._drift + np.sqrt(1 - self._correlation**2) * fresh
        return self._actions.from_unit(self._drift)


class ColouredNoise:
    """Wanders at all time scales: noise whose power falls with the frequency f as `1 / f**exponent`.

    An exponent of 0 is white, 1 pink and 2 red noise (Eberhard et al., "Pink noise is all you need: colored noise
    exploration in deep reinforcement learning", ICLR 2023). It is drawn for as many steps as an episode has, and anew
    where one is longer.

    Args:
        spec: Of the task.
        exponent: At least 0.
        std: Of a component before it is clipped, in units of the actions, above 0.
    """

    def __init__(self, spec: TaskSpec, *, exponent: float, std: float) -> None:
        if not exponent >= 0 or not std > 0:
            raise ValueError(f"exponent must be at least 0 and std above 0, got {exponent} and {std}")
        self._actions = spec.actions
        self._num_steps = max(spec.num_steps, 3)
        self._std = std
        frequencies = np.fft.rfftfreq(self._num_steps)
        self._amplitudes = np.zeros(len(frequencies))
        inner = (frequencies > 0) & (frequencies < 0.5)  # all that have a phase
        self._amplitudes[inner] = frequencies[inner] ** (-exponent / 2)
        self._rng = np.random.default_rng(0)
        self._left: Iterator[NDArray[np.float64]] = iter(())

    def reset(self, goal: Readings, *, seed: int) -> None:  # noqa: ARG002 - it knows no goal
        """Starts anew from the seed."""
        self._rng = np.random.default_rng(seed)
        self._left = iter(())

    def act(self, observation: Readings) -> NDArray[np.float32]:  # noqa: ARG002 - it is blind
        """Returns the next step of the noise."""
        values = next(self._left, None)
        if values is None:
            self._left = iter(self._draw())
            values = next(self._left)
        return self._actions.from_unit(values)

    def _draw(self) -> NDArray[np.float64]:
        """Draws `[num_steps, action_dim]`, of mean 0 over the time and, in expectation, of the std."""
        shape = (len(self._amplitudes), self._actions.action_dim)
        spectrum = self._amplitudes[:, None] * (self._rng.normal(size=shape) + 1j * self._rng.normal(size=shape))
        noise = np.fft.irfft(spectrum, n=self._num_steps, axis=0)
        power = np.fft.irfft(self._amplitudes**2, n=self._num_steps)[0]  # half of the variance, times the steps
        scaled: NDArray[np.float64] = noise * (self._std / np.sqrt(2 * power / self._num_steps))
        return scaled


class Switching(ABC):
    """Takes up a new behaviour at random moments.

    Args:
        spec: Of the environment.
        min_hold: Fewest steps that a behaviour lasts, at least 1.
        max_hold: Most steps that it lasts.
    """

    def __init__(self, spec: TaskSpec, *, min_hold: int, max_hold: int) -> None:
        if not 1 <= min_hold <= max_hold:
            raise ValueError(f"min_hold must be in 1..max_hold={max_hold}, got {min_hold}")
        self._actions = spec.actions
        self._min_hold = min_hold
        self._max_hold = max_hold
        self._rng = np.random.default_rng(0)
        self._steps_left = 0
        self._behaviour = self._hold()

    def reset(self, goal: Readings, *, seed: int) -> None:  # noqa: ARG002 - it knows no goal
        """Starts anew from the seed."""
        self._rng = np.random.default_rng(seed)
        self._steps_left = 0

    def act(self, observation: Readings) -> NDArray[np.float32]:
        """Returns what the behaviour of the moment does."""
        if self._steps_left == 0:
            self._behaviour, longest = self._next_behaviour(observation)
            self._steps_left = int(self._rng.integers(self._min_hold, longest + 1))
        self._steps_left -= 1
        return self._actions.from_unit(self._behaviour(observation))

    @abstractmethod
    def _next_behaviour(self, observation: Readings) -> tuple[Behaviour, int]:
        """Draws what to do next, and says how many steps it lasts at most."""

    def _hold(self) -> Behaviour:
        """Repeats one action, of any size."""
        values = self._rng.uniform(0, 1) * self._rng.uniform(-1, 1, self._actions.action_dim)
        return lambda _: values


class HeldRandom(Switching):
    """Holds a random action for a random number of steps, then another."""

    def _next_behaviour(self, observation: Readings) -> tuple[Behaviour, int]:  # noqa: ARG002 - it is blind
        return self._hold(), self._max_hold


class NearObject(Switching):
    """Now holds a random action, now sends the robot's hand to a point around an object, or anywhere in an area.

    It is told what is the hand and what the object: a privilege, as a robot need not know either.

    Args:
        spec: Of a task in whose actions the first components displace the hand, each along an axis; further ones are
            held at random.
        hand: The sensor of the hand's place, m; None for the effector's.
        thing: The sensor of the object's place, m, of as many numbers.
        displacement: How far an action of 1 displaces the hand in a step, m, above 0.
        near_share: Share of the points that lie around the object, at its height, in [0, 1]; the others lie anywhere in
            the area, so that it is known too what a hand far away cannot do. All of them where there is no area.
        radius: How far from the object the former lie in the plane, m, above 0.
        lift_share: Share of the points that are lifted, in [0, 1], where places have a height: only who was above a
            thing knows that it is not moved from there.
        max_lift: How far, m, at least 0.
        area: Corners `low` and `high` of where the points may lie before they are lifted, m, of as many numbers as a
            place; others are moved onto its border, so that nothing is pushed far beyond it. None for anywhere.
        min_speed: Slowest pace, as a share of the fastest, in (0, 1]; each way has its own, drawn on a log scale.
        hold_share: Share of held actions among the behaviours, in [0, 1].
        min_hold: Fewest steps that a behaviour lasts, at least 1.
        max_hold: Most steps that it lasts.
        max_jitter: Largest std of the noise on an action, at least 0; each way has its own.

    Raises:
        ValueError: The task has no such sensors, too few actions, or a value is out of its range.
    """

    def __init__(
        self,
        spec: TaskSpec,
        *,
        hand: str | None,
        thing: str,
        displacement: float,
        near_share: float,
        radius: float,
        lift_share: float,
        max_lift: float,
        area: Mapping[str, Sequence[float]] | None,
        min_speed: float,
        hold_share: float,
        min_hold: int,
        max_hold: int,
        max_jitter: float,
    ) -> None:
        super().__init__(spec, min_hold=min_hold, max_hold=max_hold)
        if hand is None and spec.effector is not None:
            hand = spec.effector.sensor
        for what, name in (("hand", hand), ("thing", thing)):
            if name not in spec.sensors:
                raise ValueError(
                    f"{what} must be a sensor of {spec.task_id}, one of {', '.join(sorted(spec.sensors))}, got {name}: "
                    "choose held_random or smooth_noise where there is none"
                )
        assert hand is not None
        if not isinstance(spec.actions, BoxActions) or spec.action_dim < 2:
            raise ValueError(
                f"exploration near an object needs at least two numbers in an action, {spec.task_id} has "
                f"{spec.actions}: choose held_random"
            )
        if spec.sensors[hand].shape != spec.sensors[thing].shape or spec.sensors[hand].shape[0] < 2:
            raise ValueError(
                f"hand and thing must be two places of as many numbers, at least 2, got {spec.sensors[hand].shape} of "
                f"'{hand}' and {spec.sensors[thing].shape} of '{thing}'"
            )
        check_number("displacement", displacement, above=0)
        check_number("near_share", near_share, least=0, most=1)
        check_number("radius", radius, above=0)
        check_number("lift_share", lift_share, least=0, most=1)
        check_number("max_lift", max_lift, least=0)
        check_number("min_speed", min_speed, above=0, most=1)
        self._low, self._high = np.full(spec.sensors[hand].shape, -np.inf), np.full(spec.sensors[hand].shape, np.inf)
        self._near_share = near_share if area is not None else 1.0
        if area is not None:
            self._low, self._high = (np.asarray(area.get(corner, ()), np.float64) for corner in ("low", "high"))
            if not self._low.shape == self._high.shape == spec.sensors[hand].shape or (self._low > self._high).any():
                raise ValueError(
                    f"area must be null or have corners low and high of {spec.sensors[hand].shape[0]} numbers, low "
                    f"nowhere above high, got {dict(area)}"
                )
        check_number("hold_share", hold_share, least=0, most=1)
        check_number("max_jitter", max_jitter, least=0)
        self._hand, self._thing = hand, thing
        self._displacement, self._radius = displacement, radius
        self._lift_share, self._max_lift = lift_share, max_lift
        self._min_speed, self._hold_share, self._max_jitter = min_speed, hold_share, max_jitter

    def _next_behaviour(self, observation: Readings) -> tuple[Behaviour, int]:
        if self._rng.uniform() < self._hold_share:
            return self._hold(), self._max_hold
        if self._rng.uniform() < self._near_share:
            point = observation[self._thing].astype(np.float64)
            angle, radius = self._rng.uniform(0, 2 * np.pi), self._radius * np.sqrt(self._rng.uniform())
            point[:2] += radius * np.array([np.cos(angle), np.sin(angle)])
            point = point.clip(self._low, self._high)
        else:
            point = self._rng.uniform(self._low, self._high)
        if self._rng.uniform() < self._lift_share:
            point[2:] += self._rng.uniform(0, self._max_lift)
        speed = self._min_speed ** self._rng.uniform()
        held, jitter = self._hold()(observation), self._rng.uniform(0, self._max_jitter)

        def go(seen: Readings) -> NDArray[np.float64]:
            size = min(len(point), len(held))
            way = (point - seen[self._hand])[:size] / self._displacement
            moving = way * (speed / max(speed, float(np.abs(way).max()))) + self._rng.normal(0, jitter, size)
            return np.concatenate([moving, held[size:]])

        return go, self._max_hold
