"""Gaussian KL: the mean and covariance of a block should be those of a standard normal."""

import torch
from torch import Generator, Tensor

from jepa_mpc.ranges import check_number
from world_model.objectives.base import LatentBatch, Regularizer


class GaussianKL(Regularizer):
    """Keeps the mean at 0 and spreads the variance over all dimensions, block by block over all frames of the batch.

    Its gradient grows as the variance in a direction shrinks, as that of the log-determinant does (CorInfoMax, Ozsoy et
    al. 2022): it finds what is small in the picture, where SIGReg's, which shrinks with the variance, leaves it faint.
    It sees two moments only: a block may be spread and yet be no Gaussian.

    Args:
        weight: Of the divergence beside the prediction loss.
        least_variance: Is added to the variance in each direction, above 0; see `gaussian_kl`.
    """

    def __init__(self, *, weight: float, least_variance: float) -> None:
        super().__init__()
        check_number("weight", weight, above=0)
        check_number("least_variance", least_variance, above=0)
        self._weight = weight
        self._least_variance = least_variance

    def extra_repr(self) -> str:
        """Returns the hyper-parameters."""
        return f"weight={self._weight}, least_variance={self._least_variance}"

    def loss(self, batch: LatentBatch, generator: Generator) -> Tensor:  # noqa: ARG002 - it draws nothing
        """Returns the weighted mean of the divergence over the blocks."""
        blocks = batch.by_block(batch.embeddings).values()
        parts = [gaussian_kl(block.flatten(0, 1), least_variance=self._least_variance) for block in blocks]
        return self._weight * torch.stack(parts).mean()


def gaussian_kl(samples: Tensor, *, least_variance: float) -> Tensor:
    """Returns the divergence of the samples' Gaussian from the standard normal, per dimension.

    KL(N(mean, covariance) || N(0, I)): 0 where the moments are those of the standard normal.

    Args:
        samples: `[num_samples, dim]`.
        least_variance: Is added to the variance in each direction, so that a collapsed one has a logarithm.
    """
    mean = samples.mean(dim=0)
    centred = samples - mean
    identity = torch.eye(samples.shape[1], dtype=samples.dtype, device=samples.device)
    covariance = centred.T @ centred / (len(samples) - 1) + least_variance * identity
    return (covariance.diagonal() - 1 + mean.square()).mean() / 2 - covariance.logdet() / (2 * samples.shape[1])
