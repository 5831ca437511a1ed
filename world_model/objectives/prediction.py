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
        actions: `[batch, time - 1, action_dim]`; `actions[:, t]` is executed after `embeddings[:, t]`.

    Returns:
        `[batch, time - context, embed_dim]`, predictions of `embeddings[:, context:]`.
    """
    before = model.context_length - 1
    context = LatentContext(
        embeddings=embeddings[:, : before + 1],
        actions=actions[:, :before],
        previous_action=torch.zeros_like(actions[:, 0]),  # lies outside the window, and no prediction depends on it
    )
    return model.rollout(context, actions[:, None, before:]).embeddings[:, 0]


def predictions(model: JEPA, embeddings: Tensor, actions: Tensor) -> Tensor:
    """Predicts all of recorded windows that a model can: what it imagines, and what it foresees within the context.

    Dynamics that begin with a single frame learn from every frame so, and from a past of any length up to the context;
    others begin behind the context.

    Args:
        model: Predicts.
        embeddings: `[batch, time, embed_dim]`.
        actions: `[batch, time - 1, action_dim]`.

    Returns:
        `[batch, predicted, embed_dim]`, of the last `predicted` frames.
    """
    first, seen = model.least_context, model.context_length
    if first == seen:
        return imagine(model, embeddings, actions)
    encoded = model.action_encoder(actions[:, : seen - 1])
    state = model.dynamics.begin(embeddings[:, :first], encoded[:, : first - 1])
    state, foreseen = model.dynamics.foresee(state, encoded[:, first - 1 :], embeddings[:, first:seen])
    context = LatentContext(
        embeddings=embeddings[:, seen - 1, None],
        actions=actions[:, :0],
        previous_action=actions[:, seen - 2],
        state=state,
    )
    imagined = model.rollout(context, actions[:, None, seen - 1 :]).embeddings[:, 0]
    return torch.cat([foreseen, imagined], dim=1)


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
