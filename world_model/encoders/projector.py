"""The head in which every image encoder ends."""

import torch
from torch import Tensor, nn


class Projector(nn.Module):
    """Maps an encoder's features to the embedding.

    The batch normalisation stands inside. Behind the last layer stands nothing: a normalisation there would fix the
    distribution that a regulariser is to shape (LeWM 2026, section 3).

    Args:
        input_dim: Features.
        hidden_dim: Width of the hidden layer.
        embed_dim: Size of the embedding.
    """

    def __init__(self, *, input_dim: int, hidden_dim: int, embed_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(input_dim, hidden_dim, bias=False),  # the normalisation would take a bias away again
            nn.BatchNorm1d(hidden_dim),
            nn.GELU(),
            nn.Linear(hidden_dim, embed_dim),
        )

    @torch.no_grad()
    def recombine(self, matrix: Tensor, mean: Tensor) -> None:
        """Replaces the first numbers of the embedding by linear combinations of them, `(s - mean) @ matrix`.

        Args:
            matrix: `[first, first]`.
            mean: `[first]`.
        """
        last, first = self.layers[-1], len(mean)
        assert isinstance(last, nn.Linear)
        weight, bias = last.weight[:first].double(), last.bias[:first].double()
        last.weight[:first] = (matrix.T.to(weight) @ weight).to(last.weight)
        last.bias[:first] = ((bias - mean.to(bias)) @ matrix.to(bias)).to(last.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Maps features `[rows, input_dim]` to `[rows, embed_dim]`."""
        embedding: Tensor = self.layers(features)
        return embedding
