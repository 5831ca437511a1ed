"""The reactive policy, followed in imagination: what mode 1 proposes to mode 2, and what it can learn from."""

import torch
from torch import Tensor

from agent.policy import ReactivePolicy
from planners.types import ActionBounds
from world_model.types import LatentContext, LatentGoal, WorldModel


def imagine_policy(
    policy: ReactivePolicy,
    world_model: WorldModel,
    context: LatentContext,
    goal: LatentGoal,
    *,
    bounds: ActionBounds,
    horizon: int,
    action_repeat: int,
) -> tuple[Tensor, Tensor]:
    """Returns what the policy would do from here on and where that leads: policy, predictor, policy, and so on.

    Differentiable in the policy's weights.

    Args:
        policy: Acts in embedding space.
        world_model: Imagines where that leads.
        context: Where imagination starts.
        goal: Of each problem.
        bounds: What will be let through: it is what is imagined.
        horizon: Imagined model steps.
        action_repeat: Control steps for which an action is held.

    Returns:
        Control actions `[batch, horizon, action_dim]`, inside the bounds, and the embeddings that they lead to,
        `[batch, horizon, embed_dim]`.
    """
    actions = torch.empty(len(context.embeddings), 0, len(bounds.low), dtype=bounds.low.dtype)
    embeddings = []
    for _ in range(horizon):
        action = policy(context.embeddings[:, -1], goal)
        actions = bounds.clip(torch.cat([actions, action[:, None]], dim=1))
        model_action = actions[:, -1:].repeat(1, 1, action_repeat)  # [batch, 1, model_action_dim]
        embedding = world_model.rollout(context, model_action[:, None]).embeddings[:, 0]
        embeddings.append(embedding)
        context = world_model.follow(context, model_action[:, 0], embedding[:, 0])
    return actions, torch.cat(embeddings, dim=1)
