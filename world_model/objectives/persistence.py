"""Persistence: of what a camera sees, most stays as it is most of the time; what moves at once is the robot."""

import torch
from torch import Tensor

FIRST_SCALE = 1.0
"""Of squared changes at the beginning: as large as the variance, all of them count by their square."""

LAST_SCALE = 0.03
"""In the end: a change that is larger is one that something was moved by, and hardly counts."""

SETTLED = 0.7
"""Of a training, after which the scale is the last one."""


def persistence_loss(embeddings: Tensor, *, progress: float) -> Tensor:
    """Returns how much embeddings change within windows: the mean over all pairs of frames of log(1 + d² / scale).

    What changes slowly tells what is there (slow feature analysis, Wiskott & Sejnowski 2002). But things that are
    pushed do not change slowly, they change seldom. So the square, by which the slow is found first, gives way to
    Cauchy's loss (Black & Anandan 1996), under which frames between which nothing was moved come together, and others
    are left where they are. From the start it would find what is almost always nothing instead.

    A regulariser has to keep the variance; d² is the mean over the numbers.

    Args:
        embeddings: `[batch, time, dim]`, of at least 2 frames.
        progress: Share of the training that is done, 0..1.
    """
    first, second = torch.triu_indices(embeddings.shape[1], embeddings.shape[1], offset=1)
    squares = (embeddings[:, first] - embeddings[:, second]).square().mean(dim=2)
    return (squares / scale_at(progress)).log1p().mean()


def scale_at(progress: float) -> float:
    """Returns the scale of squared changes at a share of the training, 0..1: it falls geometrically."""
    fallen: float = (LAST_SCALE / FIRST_SCALE) ** min(progress / SETTLED, 1.0)
    return FIRST_SCALE * fallen
