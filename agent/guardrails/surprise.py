"""Who does not understand what happens stops: for any robot."""

from dataclasses import dataclass
from typing import ClassVar

from agent.guardrails.types import Action, Circumstances, Limit
from agent.guardrails.ways import is_number


@dataclass(frozen=True)
class Surprise(Limit):
    """Stops the robot while the world model is surprised; it goes on when surprise has fallen to the limit.

    Attributes:
        max_surprise: Above 0.

    Raises:
        ValueError: It is not.
    """

    name: ClassVar[str] = "surprise"

    max_surprise: float

    def __post_init__(self) -> None:
        if not is_number(self.max_surprise) or not self.max_surprise > 0.0:
            raise ValueError(f"max_surprise must be a number above 0, or null for any, got {self.max_surprise}")

    def keep(self, action: Action, circumstances: Circumstances) -> tuple[Action, str | None]:
        """Returns the action, or what is allowed, and why; see `Limit`."""
        surprise = circumstances.surprise
        if surprise <= self.max_surprise:
            return action, None
        return (
            circumstances.still,
            f"the surprise was {surprise:.3g}, at most {self.max_surprise:.3g} is allowed",
        )
