"""What a world model is trained to do well."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from world_model.jepa import JEPA
from world_model.types import LatentContext

REST = 1e-3
"""Shorter differences between embeddings count as none."""


def imagine(model: JEPA, embeddings: Tensor, actions: Tensor) -> Tensor:
    """Rolls the model out over recorded windows, each from its first frames.

    Args:
        model: Predicts.
        embeddings: `[batch, time, embed_dim]`.
        actions: `[batch, time - 1, action_dim]`; `actions[:, t]` leads to `embeddings[:, t + 1]`.

    Returns:
        `[batch, time - context, embed_dim]`, predictions of `embeddings[:, context:]`.
    """
    context = model.context_length
    # What led to the first frame lies outside the window, and no prediction depends on it.
    before = torch.cat([torch.zeros_like(actions[:, :1]), actions[:, : context - 1]], dim=1)
    trajectory = model.rollout(
        LatentContext(embeddings=embeddings[:, :context], actions=before), actions[:, None, context - 1 :]
    )
    return trajectory.embeddings[:, 0]


def prediction_loss(
    predictions: Tensor,
    targets: Tensor,
    blocks: Mapping[str, slice],
    *,
    weights: Mapping[str, float] = MappingProxyType({}),
) -> Tensor:
    """Returns the squared error: the mean over a block, whatever its size, then the weighted mean over the blocks.

    Args:
        predictions: `[batch, horizon, embed_dim]`.
        targets: `[batch, horizon, embed_dim]`.
        blocks: Sensor name to its place in the embedding.
        weights: Sensor name to the weight of its block; 1 where it is not named.
    """
    error = (predictions - targets).square()
    share = error.new_tensor([weights.get(name, 1.0) for name in blocks])
    errors = torch.stack([error[..., block].mean() for block in blocks.values()])
    return (errors * share).sum() / share.sum()


def curvature(embeddings: Tensor) -> Tensor:
    """Returns how much paths bend: 1 minus the cosine between consecutive differences, the mean over all that move.

    Straight paths make distances in embedding space honest ("Temporal straightening", Wang et al. 2026). A difference
    that is shorter than `REST` has no direction: it is left out, before and behind.

    Args:
        embeddings: `[batch, time, embed_dim]`, of at least 3 frames.

    Returns:
        A scalar in 0..2; 0 where nothing moves.
    """
    differences = embeddings.diff(dim=1)
    moves = differences.norm(dim=2) > REST
    both = moves[:, 1:] & moves[:, :-1]
    bends = 1 - functional.cosine_similarity(differences[:, 1:][both], differences[:, :-1][both], dim=1)
    mean: Tensor = bends.sum() / both.sum().clamp_min(1)
    return mean


class InverseDynamics(nn.Module):
    """Guesses the action between two frames, so that embeddings keep what actions change (EB-JEPA 2026).

    Each block guesses for itself: a camera need not look where the arm feels its tip anyway, and would not learn to.

    Args:
        blocks: Sensor name to its place in an embedding.
        action_dim: Size of a model action.
        hidden_dim: Width of the hidden layer of each block.
    """

    def __init__(self, *, blocks: Mapping[str, slice], action_dim: int, hidden_dim: int) -> None:
        super().__init__()
        self._blocks = dict(blocks)
        self.guesses = nn.ModuleDict(
            {
                name: nn.Sequential(
                    nn.Linear(2 * (block.stop - block.start), hidden_dim),
                    nn.SiLU(),
                    nn.Linear(hidden_dim, action_dim),
                )
                for name, block in blocks.items()
            }
        )

    def forward(self, embeddings: Tensor, actions: Tensor) -> Tensor:
        """Returns the mean squared error of the guesses.

        Args:
            embeddings: `[batch, time, embed_dim]`.
            actions: `[batch, time - 1, action_dim]`, normalised.
        """
        pairs = {
            name: torch.cat([embeddings[:, :-1, block], embeddings[:, 1:, block]], dim=2)
            for name, block in self._blocks.items()
        }
        errors = [(guess(pairs[name]) - actions).square().mean() for name, guess in self.guesses.items()]
        return torch.stack(errors).mean()
