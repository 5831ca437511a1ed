"""Prediction: what is imagined should be what came, block by block."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Generator, Tensor

from world_model.jepa import JEPA
from world_model.latent.base import INFORMATION, Transition
from world_model.types import LatentContext


def imagine(model: JEPA, embeddings: Tensor, actions: Tensor) -> Tensor:
    """Rolls the model out over recorded windows, each from its first frames, to the most probable future.

    Args:
        model: Predicts.
        embeddings: `[batch, time, embed_dim]`.
        actions: `[batch, time - 1, action_dim]`; `actions[:, t]` is executed after `embeddings[:, t]`.

    Returns:
        `[batch, time - context, embed_dim]`, predictions of `embeddings[:, context:]`.
    """
    context, later = _split(model, embeddings, actions)
    return model.rollout(context, later[:, None]).embeddings[:, 0]


def predictions(
    model: JEPA, embeddings: Tensor, actions: Tensor, *, came: Tensor, generator: Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """Predicts all of recorded windows that a model can: what it imagines, and what it foresees within the context.

    Dynamics that begin with a single frame learn from every frame so, and from a past of any length up to the context;
    others begin behind the context. Where there are several futures, the one is predicted that came.

    Args:
        model: Predicts.
        embeddings: `[batch, time, embed_dim]`.
        actions: `[batch, time - 1, action_dim]`.
        came: `[batch, time, embed_dim]`, what is to be predicted.
        generator: Of all random draws, on the CPU.

    Returns:
        `[batch, predicted, embed_dim]`, of the last `predicted` frames, and what the latent variable learns by, scalars
        by name; see `JEPA.posterior_rollout`.
    """
    first, seen = model.least_context, model.context_length
    if first == seen:
        context, later = _split(model, embeddings, actions)
        return model.posterior_rollout(context, later, came[:, seen:], generator)
    encoded = model.action_encoder(actions[:, : seen - 1])
    state = model.dynamics.begin(embeddings[:, :first], encoded[:, : first - 1])
    state, foreseen = model.dynamics.foresee(state, encoded[:, first - 1 :], embeddings[:, first:seen])
    context = LatentContext(
        embeddings=embeddings[:, seen - 1, None],
        actions=actions[:, :0],
        previous_action=actions[:, seen - 2],
        state=state,
    )
    imagined, learned = model.posterior_rollout(context, actions[:, seen - 1 :], came[:, seen:], generator)
    if model.latent is not None:
        before, done = embeddings[:, first - 1 : seen - 1], encoded[:, first - 1 :]
        steps = Transition(*(values.flatten(0, 1) for values in (before, done, foreseen)))
        completed, within = model.latent.learn(steps, came[:, first:seen].flatten(0, 1), generator)
        foreseen = completed.view(foreseen.shape)
        share = foreseen.shape[1] / (foreseen.shape[1] + imagined.shape[1])
        learned = {name: learned[name].lerp(within[name], share) for name in learned}
    return torch.cat([foreseen, imagined], dim=1), learned


def total(parts: Mapping[str, Tensor]) -> Tensor:
    """Returns the sum of all parts of a loss; what is only watched is none."""
    return torch.stack([part for name, part in parts.items() if name != INFORMATION]).sum()


def _split(model: JEPA, embeddings: Tensor, actions: Tensor) -> tuple[LatentContext, Tensor]:
    """Returns the first frames of windows as a context, and the actions after them."""
    before = model.context_length - 1
    context = LatentContext(
        embeddings=embeddings[:, : before + 1],
        actions=actions[:, :before],
        previous_action=torch.zeros_like(actions[:, 0]),  # lies outside the window, and no prediction depends on it
    )
    return context, actions[:, before:]


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
