"""Mode 1: from perception straight to action, without imagining anything (LeCun 2022, section 3.1)."""

from typing import Protocol

from torch import Tensor, nn

from agent.features import goal_features, perceptron
from world_model.types import LatentGoal


class ReactivePolicy(Protocol):
    """Answers an embedding and a goal with an action, at once."""

    def __call__(self, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        """Returns the control action to hold for one model step, `[batch, action_dim]` in [-1, 1].

        Args:
            embeddings: `[batch, embed_dim]`.
            goal: Of the batch.
        """
        ...


class MLPPolicy(nn.Module):
    """A multi-layer perceptron that sees the state, the way to the goal, the goal, and what it asks for.

    Args:
        embed_dim: Size of an embedding.
        action_dim: Size of a control action.
        hidden_dim: Width of every hidden layer.
        num_layers: Hidden layers, at least 1.
    """

    def __init__(self, *, embed_dim: int, action_dim: int, hidden_dim: int, num_layers: int) -> None:
        super().__init__()
        for name, value in (("hidden_dim", hidden_dim), ("num_layers", num_layers)):
            if value < 1:
                raise ValueError(f"{name} of a policy must be at least 1, got {value}")
        self.layers = nn.Sequential(
            *perceptron(4 * embed_dim, hidden_dim, num_layers, output_dim=action_dim), nn.Tanh()
        )

    def forward(self, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        """Returns `[batch, action_dim]` in [-1, 1]."""
        actions: Tensor = self.layers(goal_features(embeddings[:, None], goal)[:, 0])
        return actions
