"""Prediction: what is imagined should be what came, block by block."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor

from world_model.jepa import JEPA
from world_model.types import LatentContext


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
