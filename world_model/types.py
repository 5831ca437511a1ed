"""What the world model takes and gives. Read this first.

Time: `actions[t]` is executed after `observations[t]` and leads to `observations[t + 1]`. A step here is a *model step*
of `action_repeat` control steps; its action is the concatenation of their control actions.

Dimension words: `batch` independent problems; `time` recorded steps; `context` steps that the predictor sees; `horizon`
imagined steps; `num_samples` candidates; `embed_dim`, `action_dim`.

An embedding is a concatenation of *blocks*, one a sensor, with one predictor over all of them: a partial goal is a
choice of blocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

Observation = Mapping[str, Tensor]
"""Sensor name to what it read, `[batch, time, *sensor_shape]`, in the sensor's own units (a camera: 0 to 255)."""


def is_image(shape: Sequence[int]) -> bool:
    """Returns whether a sensor of that shape is a camera: `(height, width, 3)`."""
    return len(shape) == 3 and shape[2] == 3


@dataclass(frozen=True)
class Goal:
    """A goal observation that may be partial: what the asked sensors should read, and nothing about the others.

    Attributes:
        observation: Sensor name to the wished reading, `[batch, *sensor_shape]`, in the sensor's own units.
        asked: Sensor name to `[batch]` bool, True where that problem asks for that sensor; same keys as `observation`.
            A sensor that is not a key is asked of no problem.
    """

    observation: Mapping[str, Tensor]
    asked: Mapping[str, Tensor]


@dataclass(frozen=True)
class LatentGoal:
    """A goal in embedding space.

    Attributes:
        embedding: `[batch, embed_dim]`, 0 where the mask is False.
        mask: `[batch, embed_dim]` bool, True for the dimensions of the asked blocks.
    """

    embedding: Tensor
    mask: Tensor


@dataclass(frozen=True)
class LatentContext:
    """What the predictor sees of the past.

    Attributes:
        embeddings: `[batch, context, embed_dim]`, the newest last.
        actions: `[batch, context, action_dim]`; `actions[:, i]` led to `embeddings[:, i]` (0 where nothing was executed
            yet), so that the newest is the previous action.
    """

    embeddings: Tensor
    actions: Tensor

    @classmethod
    def at_rest(cls, embedding: Tensor, *, context_length: int, action_dim: int) -> "LatentContext":
        """Returns the context of an episode that begins at `embedding`, `[batch, embed_dim]`."""
        return cls(
            embeddings=embedding[:, None].repeat(1, context_length, 1),
            actions=embedding.new_zeros(len(embedding), context_length, action_dim),
        )


@dataclass(frozen=True)
class LatentTrajectory:
    """Imagined futures.

    Attributes:
        embeddings: `[batch, num_samples, horizon, embed_dim]`; `actions[:, :, t]` leads to `embeddings[:, :, t]`.
        actions: `[batch, num_samples, horizon, action_dim]`.
        previous_action: `[batch, action_dim]`, executed before `actions[:, :, 0]`: the newest of the context.
        start: `[batch, embed_dim]`, where `actions[:, :, 0]` starts: the newest of the context.
    """

    embeddings: Tensor
    actions: Tensor
    previous_action: Tensor
    start: Tensor


class WorldModel(Protocol):
    """Perception and imagination, as the agent sees them."""

    @property
    def embed_dim(self) -> int:
        """The size of an embedding, all blocks together."""
        ...

    @property
    def context_length(self) -> int:
        """How many frames the predictor sees."""
        ...

    @property
    def blocks(self) -> Mapping[str, slice]:
        """Sensor name to its place in the embedding."""
        ...

    def encode(self, observation: Observation) -> Tensor:
        """Embeds each frame on its own: `[batch, time, embed_dim]`."""
        ...

    def encode_goal(self, goal: Goal) -> LatentGoal:
        """Embeds what a goal asks for."""
        ...

    def rollout(self, context: LatentContext, actions: Tensor) -> LatentTrajectory:
        """Imagines where candidate actions lead, differentiably in the actions.

        Args:
            context: Of `context_length` frames.
            actions: `[batch, num_samples, horizon, action_dim]`.
        """
        ...
