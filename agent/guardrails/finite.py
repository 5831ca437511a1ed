"""An action is numbers: for any robot."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agent.guardrails.types import Action, Circumstances, Limit


@dataclass(frozen=True)
class Finite(Limit):
    """A component that is not finite becomes that of the action that stops the robot."""

    name: ClassVar[str] = "non-finite"

    def keep(self, action: Action, circumstances: Circumstances) -> tuple[Action, str | None]:
        """Returns the action, or what is allowed, and why; see `Limit`."""
        finite = np.isfinite(action)
        if finite.all():
            return action, None
        reason = f"the action was {action.tolist()}, a component that is not finite becomes as in what stops the robot"
        return np.where(finite, action, circumstances.still), reason
