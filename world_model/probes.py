"""What an embedding knows: linear probes, and over how many dimensions it is spread."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LinearProbe:
    """A linear map from embeddings to a physical quantity.

    Attributes:
        weight: `[embed_dim, target_dim]`.
        offset: `[target_dim]`.
    """

    weight: Tensor
    offset: Tensor

    def __call__(self, embeddings: Tensor) -> Tensor:
        """Reads the quantity off embeddings `[..., embed_dim]`: `[..., target_dim]`, in the quantity's units."""
        return embeddings.double() @ self.weight + self.offset


def fit_probe(embeddings: Tensor, targets: Tensor, *, ridge: float) -> LinearProbe:
    """Fits a probe by ridge regression on standardised embeddings.

    Args:
        embeddings: `[rows, embed_dim]`.
        targets: `[rows, target_dim]`, in any units.
        ridge: Penalty on the squared weights, relative to the number of rows.
    """
    inputs, outputs = embeddings.double(), targets.double()
    mean, scale = inputs.mean(dim=0), inputs.std(dim=0).clamp_min(1e-12)
    standardised = (inputs - mean) / scale
    offset = outputs.mean(dim=0)
    gram = standardised.T @ standardised / len(inputs) + ridge * torch.eye(inputs.shape[1], dtype=inputs.dtype)
    weight = torch.linalg.solve(gram, standardised.T @ (outputs - offset) / len(inputs)) / scale[:, None]
    return LinearProbe(weight=weight, offset=offset - mean @ weight)


def r_squared(predictions: Tensor, targets: Tensor) -> float:
    """Returns the explained share of the variance of all targets together: 1 is perfect, 0 no better than the mean.

    A number that hardly varies, as a block's tilt, counts for as little as it varies.

    Args:
        predictions: As `targets`.
        targets: `[rows, target_dim]` or `[rows]`, in one unit.
    """
    outputs = targets.double()
    residual = (outputs - predictions).square().sum()
    return float(1 - residual / (outputs - outputs.mean(dim=0)).square().sum())


def effective_rank(embeddings: Tensor) -> float:
    """Returns over how many dimensions the variance is spread: the exponential of its spectrum's entropy.

    Roy & Vetterli 2007, of the covariance's eigenvalues. k equal eigenvalues give k, a single point gives 0, and what
    is not finite gives NaN.

    Args:
        embeddings: `[rows, embed_dim]`.
    """
    covariance = torch.cov(embeddings.double().T).reshape(2 * embeddings.shape[1:])
    if not bool(covariance.isfinite().all()):
        return math.nan
    eigenvalues = torch.linalg.eigvalsh(covariance).clamp_min(0)
    total = eigenvalues.sum()
    if not total > 0:
        return 0.0
    share = eigenvalues / total
    return float(torch.special.entr(share).sum().exp())
