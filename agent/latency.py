"""A late world: an action takes effect some control steps after it was decided (LeCun 2022, section 3.1).

Time: what is decided at control step `t` takes effect at `t + latency`. A model step is `action_repeat` control steps,
and the world model foresees whole ones. So an actor perceives as many control steps before it decides as are missing to
whole model steps, and decides for what it foresees `lead` of them later, given the actions that are under way:

    perceived + lead * action_repeat = decided + latency
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jepa_mpc.ranges import check_count


@dataclass(frozen=True)
class Timing:
    """When an actor perceives and decides, and what of all that it sent has taken effect.

    Attributes:
        action_repeat: Control steps of a model step, at least 1.
        latency: Control steps from a decision to its effect, at least 0.

    Raises:
        ValueError: A value is out of its range.
    """

    action_repeat: int
    latency: int

    def __post_init__(self) -> None:
        check_count("action_repeat", self.action_repeat, least=1)
        check_count("latency", self.latency, least=0)

    @property
    def lead(self) -> int:
        """Model steps from what is perceived to what is decided for."""
        return -(-self.latency // self.action_repeat)

    @property
    def ahead(self) -> int:
        """Control steps by which perceiving goes before deciding, less than a model step."""
        return self.lead * self.action_repeat - self.latency

    @property
    def num_sent(self) -> int:
        """Control actions that have to be remembered."""
        return self.action_repeat + self.latency

    def model_step(self, step: int) -> int:
        """Returns the model step in which a control step lies, from 0.

        The first begins `ahead` control steps before the episode, when all is at rest.
        """
        return (step + self.ahead) // self.action_repeat

    def perceives(self, step: int) -> bool:
        """Returns whether a model step begins: at the start of an episode, and then once in each."""
        return step == 0 or (step + self.ahead) % self.action_repeat == 0

    def decides(self, step: int) -> bool:
        """Returns whether a new action is decided on."""
        return step % self.action_repeat == 0

    def taken_effect(self, sent: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the control actions that took effect in the model step that is over, where one begins.

        Args:
            sent: `[num_sent, action_dim]`, the newest last.

        Returns:
            `[action_repeat, action_dim]`.
        """
        return sent[: self.action_repeat]

    def under_way(self, sent: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the model actions between what was perceived and what is decided for, where a decision is made.

        Args:
            sent: `[num_sent, action_dim]`, the newest last.

        Returns:
            `[lead, action_repeat * action_dim]`.
        """
        newest = sent[len(sent) - self.lead * self.action_repeat :]
        return newest.reshape(self.lead, self.action_repeat * sent.shape[1])


def control_steps(number: int) -> str:
    """Returns so many control steps in words."""
    return f"{number} control step{'s' * (number != 1)}"
