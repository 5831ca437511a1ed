"""Robust statistics: what most rows say, whatever a few wild ones do."""

import torch
from torch import Tensor

LEAST_SHARE = 1e-4
"""Of a mean square: where more than half of the rows are told to the last bit, the others still count."""


def usual_square(squares: Tensor, *, beside: Tensor) -> Tensor:
    """Returns the median of squared residuals, or a small share of the mean of what they are squares beside, if larger.

    Args:
        squares: `[rows]`.
        beside: `[any]`, squares of what is told, in the same unit.
    """
    return torch.maximum(squares.median(), LEAST_SHARE * beside.mean())


def trust(squares: Tensor, scale: Tensor) -> Tensor:
    """Returns Cauchy's weights of squared residuals, `[rows]`: 1 / (1 + square / scale) (Holland & Welsch 1977)."""
    return 1 / (1 + squares / scale.clamp_min(torch.finfo(squares.dtype).tiny))
