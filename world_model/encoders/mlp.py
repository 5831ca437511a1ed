"""Encoder for sensors that read a few numbers."""

import math

from torch import Tensor, nn

from jepa_mpc.ranges import check_count


class MLPEncoder(nn.Module):
    """Embeds a reading by a multi-layer perceptron beside a linear map: what is linear in the sensor stays so.

    No normalisation layer stands at the end: it would fix the distribution that a regulariser is to shape.

    Args:
        input_shape: Of one reading.
        embed_dim: Size of its embedding.
        hidden_dim: Width of every hidden layer.
        num_layers: Hidden layers.

    Raises:
        ValueError: A size is below 1.
    """

    def __init__(self, *, input_shape: tuple[int, ...], embed_dim: int, hidden_dim: int, num_layers: int) -> None:
        super().__init__()
        check_count("hidden_dim", hidden_dim, least=1)
        check_count("num_layers", num_layers, least=1)
        input_dim = math.prod(input_shape)
        layers: list[nn.Module] = []
        for layer in range(num_layers):
            layers += [nn.Linear(hidden_dim if layer else input_dim, hidden_dim), nn.SiLU()]
        self.linear = nn.Linear(input_dim, embed_dim, bias=False)
        nn.init.orthogonal_(self.linear.weight)
        last = nn.Linear(hidden_dim, embed_dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.curved = nn.Sequential(*layers, last)

    def forward(self, readings: Tensor) -> Tensor:
        """Embeds normalised readings: `[rows, *input_shape]` to `[rows, embed_dim]`."""
        flat = readings.flatten(1)
        embedding: Tensor = self.linear(flat) + self.curved(flat)
        return embedding
