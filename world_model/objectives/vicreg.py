"""VICReg: every dimension of a block should vary, and no two of them alike (Bardes 2022)."""

import torch
from torch import Generator, Tensor

from jepa_mpc.ranges import check_number
from world_model.objectives.base import LatentBatch, Regularizer


class VICReg(Regularizer):
    """The variance and covariance terms, block by block and frame by frame over the batch.

    Args:
        variance_weight: Of the hinge that keeps each standard deviation above 1.
        covariance_weight: Of the squared covariances between dimensions.
    """

    def __init__(self, *, variance_weight: float, covariance_weight: float) -> None:
        super().__init__()
        check_number("variance_weight", variance_weight, above=0)
        check_number("covariance_weight", covariance_weight, least=0)
        self._variance_weight = variance_weight
        self._covariance_weight = covariance_weight

    def extra_repr(self) -> str:
        """Returns the hyper-parameters."""
        return f"variance_weight={self._variance_weight}, covariance_weight={self._covariance_weight}"

    def loss(self, batch: LatentBatch, generator: Generator) -> Tensor:  # noqa: ARG002 - it draws nothing
        """Returns the weighted sum of both terms, each the mean over the blocks."""
        blocks = batch.by_block(batch.embeddings).values()
        variance = torch.stack([variance_hinge(block).mean() for block in blocks]).mean()
        covariance = torch.stack([covariance_energy(block).mean() for block in blocks]).mean()
        return self._variance_weight * variance + self._covariance_weight * covariance


def variance_hinge(block: Tensor) -> Tensor:
    """Returns by how much the standard deviations of `[time, batch, block_dim]` fall short of 1, `[time]` (eq. 1)."""
    std = (block.var(dim=1) + 1e-4).sqrt()
    return torch.relu(1 - std).mean(dim=1)


def covariance_energy(block: Tensor) -> Tensor:
    """Returns the squared covariances between the dimensions of `[time, batch, block_dim]`, `[time]` (eq. 3, 4)."""
    _, batch, block_dim = block.shape
    centered = block - block.mean(dim=1, keepdim=True)
    covariance = centered.transpose(1, 2) @ centered / (batch - 1)
    off_diagonal = covariance.square().sum(dim=(1, 2)) - covariance.diagonal(dim1=1, dim2=2).square().sum(dim=1)
    return off_diagonal / block_dim
