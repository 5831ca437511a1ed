"""Encoder for sensors that read a few numbers."""

import math

from torch import Tensor, nn

from jepa_mpc.ranges import check_count
from world_model.perceptron import hidden_layers, zero_linear


class MLPEncoder(nn.Module):
    """Embeds a reading by a multi-layer perceptron beside a linear map: what is linear in the sensor stays so.

    A linear map alone cannot fold what it embeds, and of sensors that share one, the difference of two embeddings tells
    the difference of the readings and nothing else.

    No normalisation layer stands at the end: it would fix the distribution that a regulariser is to shape.

    Args:
        input_shape: Of one reading.
        embed_dim: Size of its embedding.
        hidden_dim: Width of every hidden layer.
        num_layers: Hidden layers; 0 leaves the linear map alone.

    Raises:
        ValueError: A size is below 1, or the number of layers below 0.
    """

    def __init__(self, *, input_shape: tuple[int, ...], embed_dim: int, hidden_dim: int, num_layers: int) -> None:
        super().__init__()
        check_count("hidden_dim", hidden_dim, least=1)
        check_count("num_layers", num_layers, least=0)
        input_dim = math.prod(input_shape)
        layers = hidden_layers(input_dim, hidden_dim, num_layers)
        self.linear = nn.Linear(input_dim, embed_dim, bias=False)
        nn.init.orthogonal_(self.linear.weight)
        self.curved: nn.Module | None = None
        if layers:
            self.curved = nn.Sequential(*layers, zero_linear(hidden_dim, embed_dim))

    def forward(self, readings: Tensor) -> Tensor:
        """Embeds normalised readings: `[rows, *input_shape]` to `[rows, embed_dim]`."""
        flat = readings.flatten(1)
        embedding: Tensor = self.linear(flat)
        return embedding if self.curved is None else embedding + self.curved(flat)
