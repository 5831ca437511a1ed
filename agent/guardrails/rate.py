"""How much an action may differ from the one before: for any robot whose actions are a box."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agent.guardrails.types import Action, Circumstances, Limit
from envs.spec import BoxActions, TaskSpec
from jepa_mpc.ranges import check_number


@dataclass(frozen=True, eq=False)
class Rate(Limit):
    """Keeps each component near what it was.

    Attributes:
        max_change: `[action_dim]`, most that a component may change from one control step to the next.
    """

    name: ClassVar[str] = "rate"

    max_change: Action

    @classmethod
    def of(cls, spec: TaskSpec, *, max_rate: float) -> "Rate":
        """Returns the limit of a task.

        Args:
            spec: Of the task.
            max_rate: Most change in a control step, as a share of each component's range, in (0, 1].

        Raises:
            ValueError: It makes no sense, or actions are a choice, of which none is near another.
        """
        check_number("max_rate", max_rate, above=0, most=1)
        if not isinstance(spec.actions, BoxActions):
            raise ValueError(
                f"the limit 'rate' needs actions that are numbers in a box, and those of {spec.task_id} are a "
                f"choice of {spec.action_dim}: do without it by max_rate=null"
            )
        return cls(max_change=max_rate * (np.array(spec.actions.high) - np.array(spec.actions.low)))

    def keep(self, action: Action, circumstances: Circumstances) -> tuple[Action, str | None]:
        """Returns the action, or what is allowed, and why; see `Limit`."""
        previous = circumstances.previous
        if previous is None:
            return action, None
        change = np.abs(action - previous)
        if (change <= self.max_change * (1.0 + 1e-6)).all():
            return action, None
        worst = int((change / self.max_change).argmax())
        reason = (
            f"component {worst} of the action would have changed by {change[worst]:.3g}, at most "
            f"{self.max_change[worst]:.3g} is allowed in a control step"
        )
        return np.clip(action, previous - self.max_change, previous + self.max_change), reason

    def most_change(self, action_dim: int) -> Action:  # noqa: ARG002
        """Returns what it lets through; see `Limit`."""
        return self.max_change
