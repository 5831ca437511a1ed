"""An action is one that the robot has: for any robot."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agent.guardrails.types import Action, Circumstances, Limit
from envs.spec import Actions, BoxActions


@dataclass(frozen=True)
class Box(Limit):
    """Numbers inside the robot's bounds; of discrete actions, the nearest one-hot one.

    Attributes:
        actions: That the robot has.
    """

    name: ClassVar[str] = "bounds"

    actions: Actions

    def keep(self, action: Action, circumstances: Circumstances) -> tuple[Action, str | None]:  # noqa: ARG002
        """Returns the action, or what is allowed, and why; see `Limit`."""
        if self.actions.admits(action):
            return action, None
        reason = f"the action was {action.tolist()}, it must be {self.actions}"
        if isinstance(self.actions, BoxActions):
            return np.clip(action, self.actions.low, self.actions.high), reason
        return np.eye(self.actions.num_actions)[int(action.argmax())], reason
