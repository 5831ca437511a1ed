"""Inverse dynamics: embeddings should keep what actions change (EB-JEPA 2026)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class InverseDynamics(nn.Module):
    """Guesses the action between two frames, so that embeddings keep what actions change (EB-JEPA 2026).

    Each block guesses for itself: a camera need not look for what the robot feels anyway, and would not learn to.

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
