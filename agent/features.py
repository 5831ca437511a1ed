"""What critics and policies share: how they see a state and a goal, and the layers behind that."""

import torch
from torch import Tensor, nn

from world_model.types import LatentGoal


def goal_features(embeddings: Tensor, goal: LatentGoal) -> Tensor:
    """Returns the state, the way to the goal, the goal and what it asks for: `[batch, num_states, 4 * embed_dim]`.

    Args:
        embeddings: `[batch, num_states, embed_dim]`.
        goal: Of the batch; what it does not ask for is not seen.
    """
    mask = goal.mask.to(embeddings.dtype)[:, None].expand_as(embeddings)
    wished = goal.embedding[:, None].expand_as(embeddings)
    return torch.cat([embeddings, (wished - embeddings) * mask, wished * mask, mask], dim=2)


def perceptron(input_dim: int, hidden_dim: int, num_layers: int, *, output_dim: int) -> nn.Sequential:
    """Returns a multi-layer perceptron with so many hidden layers and a linear output."""
    layers: list[nn.Module] = []
    for layer in range(num_layers):
        layers += [nn.Linear(hidden_dim if layer else input_dim, hidden_dim, dtype=torch.float32), nn.SiLU()]
    return nn.Sequential(*layers, nn.Linear(hidden_dim, output_dim, dtype=torch.float32))
