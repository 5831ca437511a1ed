"""What limits what is done, and what it knows. Read this first."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from agent.guardrails.track import EffectorTrack
from planners.types import ActionBounds

Action = NDArray[np.float64]
"""`[action_dim]`, in the robot's own units."""


@dataclass(frozen=True)
class GuardedAction:
    """What may be executed, and what had to be changed.

    Attributes:
        action: `[action_dim]`, float32, one that the robot has.
        interventions: The limits that changed it, in the order in which they did, as "non-finite" or "speed".
        reasons: To each intervention one sentence with the value and the limit.
        track: What was known of the effector, or None where there is none or it was never read.
        under_way: What was executed before it and had not yet taken effect, the newest last, each `[action_dim]`.
    """

    action: NDArray[np.float32]
    interventions: tuple[str, ...]
    reasons: tuple[str, ...]
    track: EffectorTrack | None = None
    under_way: tuple[NDArray[np.float32], ...] = ()


@dataclass(frozen=True)
class Circumstances:
    """In which an action is asked for.

    Attributes:
        previous: `[action_dim]`, executed before; at the start of an episode what does nothing, or None where nothing
            does.
        previous_way: `[action_dim]`, the same as a way of the effector, or None where no limit needs one.
        still: `[action_dim]`, what stops the robot; see `still_action`.
        reading: Where the effector's sensor says that it is now, m, or None where it says nothing finite.
        surprise: Newest of short-term memory.
        track: What is known of the effector when the action takes effect, or None where there is none or it was never
            read.
    """

    previous: Action | None
    previous_way: Action | None
    still: Action
    reading: NDArray[np.float32] | None
    surprise: float
    track: EffectorTrack | None


class Limit(ABC):
    """One limit of what is done. It is a value: all that changes comes in as `Circumstances`.

    What `narrow` and `most_change` let through, `keep` lets through to the last bit, as far as a box and a rate can
    tell of the limit.

    Attributes:
        name: What an intervention is called.
    """

    name: ClassVar[str]

    @property
    def sensors(self) -> tuple[str, ...]:
        """The sensors that it needs."""
        return ()

    @abstractmethod
    def keep(self, action: Action, circumstances: Circumstances) -> tuple[Action, str | None]:
        """Returns the action itself where it is allowed, and else what is, with the reason in one sentence."""

    def narrow(self, bounds: ActionBounds) -> ActionBounds:
        """Returns the box that it lets through of that of the limits before it; all, where a box cannot tell."""
        return bounds

    def most_change(self, action_dim: int) -> Action | None:  # noqa: ARG002
        """Returns by how much each component may differ from what was executed before, or None for any."""
        return None
