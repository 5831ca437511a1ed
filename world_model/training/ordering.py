"""What persists, in order: a camera's numbers are recombined once, so that what persists best comes first."""

import torch
from torch import Tensor

NUM_WINDOWS = 4096
"""By which the order is found."""

NUM_STEPS = 2
"""Model steps between the two frames of each."""

LEAST_VARIANCE = 1e-4
"""As a share of the largest variance of a direction: one that varies less says nothing."""


def order_of_persistence(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the linear map to uncorrelated numbers of variance 1, those first that change least where nothing moves.

    Directions in which hardly anything varies at all come last, as they are.

    It solves the generalised eigenproblem of slow feature analysis (Wiskott & Sejnowski 2002), with changes that are
    large, those by which something was moved, hardly counting (Cauchy's weights; Holland & Welsch 1977).

    Args:
        before: `[num_windows, dim]`, embeddings.
        after: `[num_windows, dim]`, of the same windows, later.

    Returns:
        The map `[dim, dim]`, and the mean `[dim]` that is subtracted before it: `(s - mean) @ map`.
    """
    frames = torch.cat([before, after]).double()
    mean = frames.mean(dim=0)
    variances, directions = torch.linalg.eigh((frames - mean).T @ (frames - mean) / len(frames))
    says_nothing = variances <= LEAST_VARIANCE * variances.max()
    whitening = directions[:, ~says_nothing] / variances[~says_nothing].sqrt()
    changes = (after - before).double() @ whitening
    squares = changes.square().sum(dim=1)
    trust = 1 / (1 + squares / squares.median().clamp_min(torch.finfo(squares.dtype).tiny))
    _, order = torch.linalg.eigh((changes * trust[:, None]).T @ changes / trust.sum())
    recombined = torch.cat([whitening @ order, directions[:, says_nothing]], dim=1)
    largest = recombined.gather(0, recombined.abs().argmax(dim=0, keepdim=True))
    return recombined * largest.sign(), mean
