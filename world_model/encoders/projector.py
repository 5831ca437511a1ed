"""The head in which every image encoder ends."""

from collections.abc import Iterator
from contextlib import contextmanager

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

    @contextmanager
    def before_last(self) -> Iterator[list[Tensor]]:
        """Keeps what the hidden layer gives, `[rows, hidden_dim]` call by call, as long as the context lasts."""
        kept: list[Tensor] = []
        handle = self.layers[-1].register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
        try:
            yield kept
        finally:
            handle.remove()

    @property
    def last(self) -> nn.Linear:
        """The last layer, of which another may be made."""
        layer = self.layers[-1]
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, features: Tensor) -> Tensor:
        """Maps features `[rows, input_dim]` to `[rows, embed_dim]`."""
        embedding: Tensor = self.layers(features)
        return embedding
