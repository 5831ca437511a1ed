"""Where a point is, read off an embedding by a frozen linear map."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from jepa_mpc.ranges import check_number
from world_model.probes import fit_probe


class PositionProbe(nn.Module):
    """A linear probe of one sensor, in buffers: part of a fitted cost term.

    Args:
        sensor: The one that it reads, as "tip".
        ridge: Of the regression; see `fit_probe`.
        blocks: Sensor name to its place in the embedding.
        sensors: Sensor name to the shape of its reading, of all that the agent may see.

    Raises:
        ValueError: There is no such sensor, or `ridge` is negative.
    """

    weight: Tensor
    offset: Tensor

    def __init__(
        self, *, sensor: str, ridge: float, blocks: Mapping[str, slice], sensors: Mapping[str, tuple[int, ...]]
    ) -> None:
        super().__init__()
        if sensor not in sensors:
            raise ValueError(f"sensor must be among the numbers that the agent sees, {sorted(sensors)}, got '{sensor}'")
        check_number("ridge", ridge, least=0)
        self.sensor = sensor
        self._ridge = ridge
        embed_dim, size = max(block.stop for block in blocks.values()), math.prod(sensors[sensor])
        self.register_buffer("weight", torch.full((embed_dim, size), math.nan, dtype=torch.float32))
        self.register_buffer("offset", torch.full((size,), math.nan, dtype=torch.float32))

    @property
    def size(self) -> int:
        """How many numbers the sensor reads."""
        return len(self.offset)

    @torch.no_grad()
    def fit(self, embeddings: Tensor, readings: Mapping[str, Tensor]) -> None:
        """Fits the probe to embeddings `[rows, embed_dim]` and what the sensors read in the same frames."""
        probe = fit_probe(embeddings, readings[self.sensor].flatten(1), ridge=self._ridge)
        self.weight.copy_(probe.weight)
        self.offset.copy_(probe.offset)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Reads the sensor off embeddings `[..., embed_dim]`: `[..., size]`, in the sensor's units."""
        return embeddings @ self.weight + self.offset
