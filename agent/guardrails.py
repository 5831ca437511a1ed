"""Hard limits: the last word before the motors, whatever the planner says."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from envs.spec import EnvSpec
from planners.types import ActionBounds


@dataclass(frozen=True)
class GuardedAction:
    """What may be executed, and what had to be changed.

    Attributes:
        action: `[action_dim]`, float32, finite, in [-1, 1].
        interventions: What was changed, in the order in which it was: of "non-finite", "bounds", "rate".
    """

    action: NDArray[np.float32]
    interventions: tuple[str, ...]


class Guardrails:
    """Keeps an action finite, in [-1, 1], and near the previous one.

    Args:
        spec: Of the task.
        max_change: Most that a component may change from one control step to the next, above 0; 2 allows any change.
    """

    def __init__(self, *, spec: EnvSpec, max_change: float) -> None:
        if not 0.0 < max_change <= 2.0:
            raise ValueError(f"max_change must be above 0 and at most 2, got {max_change}")
        self._max_change = max_change
        self._rest = np.zeros(spec.action_dim, np.float32)

    def bounds(self, last: GuardedAction | None) -> ActionBounds:
        """Returns what will be let through, so that what is planned is what is executed.

        Args:
            last: What was executed before, or None at the start of an episode.
        """
        high = torch.ones(len(self._rest))
        if self._max_change >= 2.0:
            return ActionBounds(low=-high, high=high)
        previous = self._rest if last is None else last.action
        return ActionBounds(
            low=-high, high=high, max_change=self._max_change * high, previous_action=torch.from_numpy(previous)[None]
        )

    def guard(
        self,
        action: NDArray[np.float32],
        *,
        last: GuardedAction | None,
        readings: Mapping[str, NDArray[np.float32]],  # noqa: ARG002
        surprise: float,  # noqa: ARG002
    ) -> GuardedAction:
        """Returns the nearest action that is allowed.

        Args:
            action: `[action_dim]`, anything; a component that is not finite becomes 0, the robot holds still.
            last: What was executed before, or None at the start of an episode.
            readings: Sensor name to what it reads now, `[*sensor_shape]`.
            surprise: Newest of short-term memory.
        """
        interventions = []
        previous_action = self._rest if last is None else last.action
        previous_action = np.clip(np.nan_to_num(previous_action), np.float32(-1.0), np.float32(1.0))
        finite = np.isfinite(action)
        if not finite.all():
            action = np.where(finite, action, np.float32(0.0))
            interventions.append("non-finite")
        bounded = np.clip(action, np.float32(-1.0), np.float32(1.0))
        if not np.array_equal(bounded, action):
            interventions.append("bounds")
        max_change = np.float32(self._max_change)
        limited = np.clip(bounded, previous_action - max_change, previous_action + max_change)
        if not np.array_equal(limited, bounded):
            interventions.append("rate")
        return GuardedAction(action=limited.astype(np.float32), interventions=tuple(interventions))
