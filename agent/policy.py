"""Mode 1: from perception straight to action, without imagining anything (LeCun 2022, section 3.1)."""

from typing import Protocol

import torch
from torch import Tensor, nn

from agent.features import goal_features, perceptron
from jepa_mpc.ranges import check_count
from planners.types import ActionBounds
from world_model.types import LatentGoal


class ReactivePolicy(Protocol):
    """Answers an embedding and a goal with an action, at once."""

    def __call__(self, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        """Returns the control action to hold for one model step, `[batch, action_dim]` inside the robot's box.

        Args:
            embeddings: `[batch, embed_dim]`.
            goal: Of the batch.
        """
        ...


class MLPPolicy(nn.Module):
    """A multi-layer perceptron that sees the state, the way to the goal, the goal, and what it asks for.

    Args:
        embed_dim: Size of an embedding.
        bounds: Of control actions; of a choice, the box around what there is.
        hidden_dim: Width of every hidden layer.
        num_layers: Hidden layers, at least 1.
    """

    center: Tensor
    half_range: Tensor

    def __init__(self, *, embed_dim: int, bounds: ActionBounds, hidden_dim: int, num_layers: int) -> None:
        super().__init__()
        for name, value in (("hidden_dim", hidden_dim), ("num_layers", num_layers)):
            check_count(f"{name} of a policy", value, least=1)
        self.layers = nn.Sequential(
            *perceptron(4 * embed_dim, hidden_dim, num_layers, output_dim=len(bounds.low)), nn.Tanh()
        )
        self.register_buffer("center", bounds.center, persistent=False)
        self.register_buffer("half_range", bounds.half_range, persistent=False)

    def forward(self, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        """Returns `[batch, action_dim]`, inside the box."""
        units: Tensor = self.layers(goal_features(embeddings[:, None], goal)[:, 0])
        return torch.addcmul(self.center, self.half_range, units)

    def errors(self, embeddings: Tensor, goal: LatentGoal, actions: Tensor) -> Tensor:
        """Returns by how much it differs from actions `[batch, action_dim]`, in units of the box: the same shape."""
        errors: Tensor = (self(embeddings, goal) - actions) / self.half_range
        return errors
