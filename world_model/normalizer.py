"""Readings in their own units to numbers around 0 of a size near 1."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


@dataclass(frozen=True)
class Moments:
    """Mean and standard deviation of every dimension of a reading.

    Attributes:
        mean: `[*shape]`, in the reading's units.
        std: `[*shape]`, in the reading's units.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]

    @classmethod
    def of_all(cls, parts: Sequence["Moments"]) -> "Moments":
        """Returns the moments of what several sensors read, each as often as the others."""
        if len(parts) == 1:
            return parts[0]
        mean = np.mean([part.mean for part in parts], axis=0)
        squares = [part.std**2 + (part.mean - mean) ** 2 for part in parts]
        return cls(mean=mean, std=np.sqrt(np.mean(squares, axis=0)))


LEAST_SHARE = 0.1
"""Of the liveliest dimension's standard deviation: a dimension that varies less is scaled as if it varied so much."""


class Normalizer(nn.Module):
    """Shifts and scales each dimension of a reading; what hardly varies beside the others is not blown up to be noise.

    It starts as the identity and is saved with the model.

    Args:
        shape: Of one reading.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def fit(self, moments: Moments) -> None:
        """Takes over the moments of the training data."""
        liveliest = moments.std.max()
        std = np.maximum(moments.std, LEAST_SHARE * liveliest) if liveliest > 0 else np.ones_like(moments.std)
        self.mean.copy_(torch.from_numpy(moments.mean))
        self.std.copy_(torch.from_numpy(std))

    def forward(self, readings: Tensor) -> Tensor:
        """Normalises readings `[..., *shape]`."""
        return (readings - self.mean) / self.std


class PixelScale(nn.Module):
    """Scales pixels from 0..255 to -1..1, whatever the training data show."""

    def forward(self, images: Tensor) -> Tensor:
        """Scales images `[..., height, width, 3]`, uint8 or float, to float."""
        return images.float() / 127.5 - 1.0
