"""Recorded episodes as the trained world model sees them: embeddings in place of readings."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from envs.episodes.episode import EpisodeDataset
from world_model.jepa import JEPA
from world_model.training.data import split_episodes
from world_model.training.embedded import embed_dataset


@dataclass(frozen=True)
class Experience:
    """Embedded episodes, one after the other.

    Episode i owns `lengths[i] + 1` rows of `embeddings` and `lengths[i]` rows of `actions`, one a control step.

    Attributes:
        embeddings: `[num_frames, embed_dim]`.
        actions: `[num_steps, action_dim]`, control actions.
        lengths: `[num_episodes]`, control steps.
        goal_parts: Sensor name to what a goal for it asks for of an embedding; see `WorldModel.goal_parts`.
        action_repeat: Control steps of a model step.
    """

    embeddings: Tensor
    actions: Tensor
    lengths: Tensor
    goal_parts: Mapping[str, slice]
    action_repeat: int

    @property
    def first_action(self) -> Tensor:
        """The row of `actions` where each episode starts, `[num_episodes]`."""
        return self.lengths.cumsum(0) - self.lengths

    @property
    def first_frame(self) -> Tensor:
        """The row of `embeddings` where each episode starts, `[num_episodes]`."""
        return self.first_action + torch.arange(len(self.lengths))

    def frames(self, episodes: Tensor) -> Tensor:
        """Returns the rows of `embeddings` that some episodes `[num_chosen]` own, one episode after the other."""
        return _rows(self.first_frame[episodes], self.lengths[episodes] + 1)

    def of(self, episodes: Tensor) -> "Experience":
        """Returns some of the episodes, `[num_chosen]`, and nothing of the others."""
        return replace(
            self,
            embeddings=self.embeddings[self.frames(episodes)],
            actions=self.actions[_rows(self.first_action[episodes], self.lengths[episodes])],
            lengths=self.lengths[episodes],
        )


def _rows(first: Tensor, counts: Tensor) -> Tensor:
    """Returns so many rows from each first one on."""
    starts = counts.cumsum(0) - counts
    return torch.arange(int(counts.sum())) + (first - starts).repeat_interleave(counts)


@dataclass(frozen=True)
class Split:
    """Two sides of the episodes, the same for all that the agent learns after its world model.

    Attributes:
        learned: Episodes that are learned from, `[num_learned]`.
        held_out: Episodes that are validated on, `[num_held_out]`; nothing else comes of them.
    """

    learned: Tensor
    held_out: Tensor

    @classmethod
    def draw(cls, num_episodes: int, *, validation_fraction: float, rng: np.random.Generator) -> "Split":
        """Draws the episodes that are held out.

        Raises:
            DatasetError: There are fewer than two episodes.
        """
        learned, held_out = split_episodes(num_episodes, validation_fraction=validation_fraction, rng=rng)
        return cls(learned=torch.from_numpy(learned), held_out=torch.from_numpy(held_out))


def embed_episodes(
    world_model: JEPA, dataset: EpisodeDataset, *, cache: Path | None = None, keep: bool = True
) -> Experience:
    """Embeds every recorded frame with the frozen world model, wherever that is; the embeddings are on the CPU.

    Args:
        world_model: In evaluation mode.
        dataset: What was recorded.
        cache: Where the embeddings are kept, or None; see `embed_dataset`.
        keep: Whether those that are made are kept there.
    """
    return Experience(
        embeddings=embed_dataset(world_model, dataset, cache=cache, keep=keep),
        actions=torch.from_numpy(np.array(dataset.actions)),
        lengths=torch.from_numpy(dataset.lengths),
        goal_parts=dict(world_model.goal_parts),
        action_repeat=world_model.action_repeat,
    )
