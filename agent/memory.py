"""Short-term memory: what was perceived, done and foreseen, by time (LeCun 2022, section 3.1)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from world_model.types import LatentContext


@dataclass(frozen=True)
class Moment:
    """One remembered model step.

    Attributes:
        embedding: `[embed_dim]`, the observation's.
        previous_action: `[model_action_dim]`, what led there; 0 at the start of an episode.
        surprise: Mean squared distance of `embedding` from what was foreseen for the executed action; 0 at the start.
    """

    embedding: Tensor
    previous_action: Tensor
    surprise: float


@dataclass(frozen=True)
class ShortTermMemory:
    """The last moments, the newest last.

    Attributes:
        capacity: Most moments kept.
        moments: At most `capacity`.
    """

    capacity: int
    moments: tuple[Moment, ...] = ()

    def record(self, moment: Moment) -> "ShortTermMemory":
        """Returns a memory that also holds `moment`, and has forgotten the oldest where it was full."""
        return replace(self, moments=(*self.moments, moment)[-self.capacity :])

    def context(self, length: int) -> LatentContext:
        """Returns the last `length` moments of one problem; the first is repeated, at rest, where there are fewer.

        Raises:
            ValueError: Nothing is remembered yet.
        """
        if not self.moments:
            raise ValueError("an empty memory has no context: record a moment first")
        moments = self.moments[-length:]
        first = replace(moments[0], previous_action=torch.zeros_like(moments[0].previous_action))
        moments = (first,) * (length - len(moments)) + moments
        return LatentContext(
            embeddings=torch.stack([moment.embedding for moment in moments])[None],
            actions=torch.stack([moment.previous_action for moment in moments])[None],
        )
