"""Who acts while a robot explores, whichever robot it is. None of them knows a goal or a success."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.episodes.rollout import Sensors
from envs.spec import TaskSpec

Behaviour = Callable[[Sensors], NDArray[Any]]
"""What to do as long as nothing new is taken up: named sensors to an action, not yet clipped."""


class Zero:
    """Never moves.

    Args:
        spec: Of the environment.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self._action = np.zeros(spec.action_dim, np.float32)

    def reset(self, goal: Sensors, *, seed: int) -> None:
        """There is nothing to forget."""

    def act(self, observation: Sensors) -> NDArray[np.float32]:  # noqa: ARG002 - it is blind
        """Returns zeros."""
        return self._action.copy()


class UniformRandom:
    """Draws every action anew from the whole cube.

    Args:
        spec: Of the environment.
    """

    def __init__(self, spec: TaskSpec) -> None:
        self._action_dim = spec.action_dim
        self._rng = np.random.default_rng(0)

    def reset(self, goal: Sensors, *, seed: int) -> None:  # noqa: ARG002 - it knows no goal
        """Starts anew from the seed."""
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Sensors) -> NDArray[np.float32]:  # noqa: ARG002 - it is blind
        """Returns the next draw."""
        return self._rng.uniform(-1, 1, self._action_dim).astype(np.float32)


class SmoothNoise:
    """Drifts: an Ornstein-Uhlenbeck process, clipped to the cube.

    Args:
        spec: Of the environment.
        correlation: Of one component of an action with the next action's, in [0, 1).
        std: Of a component before it is clipped, above 0.
    """

    def __init__(self, spec: TaskSpec, *, correlation: float, std: float) -> None:
        if not 0 <= correlation < 1 or not std > 0:
            raise ValueError(f"correlation must be in [0, 1) and std above 0, got {correlation} and {std}")
        self._action_dim = spec.action_dim
        self._correlation = correlation
        self._std = std
        self._rng = np.random.default_rng(0)
        self._drift = np.zeros(spec.action_dim)

    def reset(self, goal: Sensors, *, seed: int) -> None:  # noqa: ARG002 - it knows no goal
        """Starts anew from the seed."""
        self._rng = np.random.default_rng(seed)
        self._drift = self._rng.normal(0, self._std, self._action_dim)

    def act(self, observation: Sensors) -> NDArray[np.float32]:  # noqa: ARG002 - it is blind
        """Returns where the drift is."""
        fresh = self._rng.normal(0, self._std, self._action_dim)
        self._drift = self._correlation * self._drift + np.sqrt(1 - self._correlation**2) * fresh
        return self._drift.clip(-1, 1).astype(np.float32)


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
        self._action_dim = spec.action_dim
        self._min_hold = min_hold
        self._max_hold = max_hold
        self._rng = np.random.default_rng(0)
        self._steps_left = 0
        self._behaviour = self._hold()

    def reset(self, goal: Sensors, *, seed: int) -> None:  # noqa: ARG002 - it knows no goal
        """Starts anew from the seed."""
        self._rng = np.random.default_rng(seed)
        self._steps_left = 0

    def act(self, observation: Sensors) -> NDArray[np.float32]:
        """Returns what the behaviour of the moment does."""
        if self._steps_left == 0:
            self._behaviour, longest = self._next_behaviour(observation)
            self._steps_left = int(self._rng.integers(self._min_hold, longest + 1))
        self._steps_left -= 1
        return self._behaviour(observation).clip(-1, 1).astype(np.float32)

    @abstractmethod
    def _next_behaviour(self, observation: Sensors) -> tuple[Behaviour, int]:
        """Draws what to do next, and says how many steps it lasts at most."""

    def _hold(self) -> Behaviour:
        """Repeats one action from the cube, of any size."""
        action = self._rng.uniform(0, 1) * self._rng.uniform(-1, 1, self._action_dim)
        return lambda _: action


class HeldRandom(Switching):
    """Holds a random action for a random number of steps, then another."""

    def _next_behaviour(self, observation: Sensors) -> tuple[Behaviour, int]:  # noqa: ARG002 - it is blind
        return self._hold(), self._max_hold
