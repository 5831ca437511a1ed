"""SIGReg: every one-dimensional shadow of a block should be a standard normal (LeJEPA, Balestriero & LeCun 2025)."""

from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional

from jepa_mpc.ranges import check_count, check_number
from world_model.objectives.base import LatentBatch, Regularizer

NUM_KNOTS = 17
LAST_KNOT = 3.0


class SIGReg(Regularizer):
    """Sketched isotropic Gaussian regularisation, block by block and frame by frame over the batch.

    Args:
        weight: Of the statistic beside the prediction loss.
        num_projections: Random directions a block and frame, drawn anew at each step.
    """

    def __init__(self, *, weight: float, num_projections: int) -> None:
        super().__init__()
        check_number("weight", weight, above=0)
        check_count("num_projections", num_projections, least=1)
        self._weight = weight
        self._num_projections = num_projections

    def extra_repr(self) -> str:
        """Returns the hyper-parameters."""
        return f"weight={self._weight}, num_projections={self._num_projections}"

    def loss(self, batch: LatentBatch, generator: Generator) -> Tensor:
        """Returns the weighted mean of the statistic over the blocks."""
        blocks = batch.by_block(batch.embeddings).values()
        statistics = [self._statistic(block, generator) for block in blocks]
        return self._weight * torch.stack(statistics).mean()

    def _statistic(self, block: Tensor, generator: Generator) -> Tensor:
        shape = (self._num_projections, block.shape[2])
        directions = torch.randn(shape, generator=generator, dtype=block.dtype, device=generator.device)
        directions = directions.to(block.device)
        return epps_pulley(functional.normalize(directions, dim=1) @ block.transpose(1, 2)).mean()


def epps_pulley(samples: Tensor) -> Tensor:
    """Measures how far samples are from a standard normal (Epps & Pulley 1983; LeJEPA, section 4).

    It is the squared distance of the samples' characteristic function from the normal's, weighted by the latter and
    integrated by the trapezoidal rule, times the number of samples. On a standard normal it is near 1.

    Args:
        samples: `[..., num_samples]`.

    Returns:
        `[...]`.
    """
    knots = torch.linspace(0, LAST_KNOT, NUM_KNOTS, dtype=samples.dtype, device=samples.device)
    normal = torch.exp(-knots.square() / 2)
    weights = 2 * normal * LAST_KNOT / (NUM_KNOTS - 1)
    weights[[0, -1]] /= 2
    cosine, sine = _CharacteristicFunction.apply(samples, knots)  # type: ignore[no-untyped-call]
    error: Tensor = (cosine - normal).square() + sine.square()
    return samples.shape[-1] * (error @ weights)


class _CharacteristicFunction(torch.autograd.Function):
    """The mean cosine and sine of samples at each knot; it keeps both for the gradient, where they swap places."""

    @staticmethod
    def forward(ctx: Any, samples: Tensor, knots: Tensor) -> tuple[Tensor, Tensor]:
        angles = samples[..., None, :] * knots[:, None]  # [..., knots, num_samples]
        cosine, sine = angles.cos(), angles.sin()
        ctx.save_for_backward(cosine, sine, knots)
        return cosine.mean(dim=-1), sine.mean(dim=-1)

    @staticmethod
    def backward(ctx: Any, grad_cosine: Tensor, grad_sine: Tensor) -> tuple[Tensor, None]:
        cosine, sine, knots = ctx.saved_tensors
        from_sine = (grad_sine * knots)[..., None, :] @ cosine
        from_cosine = (grad_cosine * knots)[..., None, :] @ sine
        return (from_sine - from_cosine).squeeze(-2) / cosine.shape[-1], None
