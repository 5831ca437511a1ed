"""Persistence: of what a camera sees, most stays as it is most of the time; what moves at once is the robot."""

import torch
from torch import Tensor

FIRST_SCALE = 1.0
"""Of squared changes at the beginning: as large as the variance, all of them count by their square."""

LAST_SCALE = 0.06
"""In the end: a change that is larger is one by which something was moved, and hardly counts."""

SETTLED = 0.7
"""Of a training, after which the scale is the last one."""

LEAST_SHARE = 0.1
"""What changes of the last number count, beside 1 of the first."""


def persistence_loss(embeddings: Tensor, *, progress: float) -> Tensor:
    """Returns how much embeddings change within windows: the mean over all pairs of frames of log(1 + d² / scale).

    What changes slowly tells what is there (slow feature analysis, Wiskott & Sejnowski 2002). But things that are
    pushed do not change slowly, they change seldom. So the square, by which the slow is found first, gives way to
    Cauchy's loss (Black & Anandan 1996), under which frames between which nothing was moved come together, and others
    are left where they are. From the start it would find what is almost always nothing instead.

    d² is a mean over the numbers in which the first count most. So they come in an order, what persists best first:
    where a thing is before how it is turned, and both before finer functions of them.

    A regulariser has to keep the variance.

    Args:
        embeddings: `[batch, time, dim]`, of at least 2 frames.
        progress: Share of the training that is done, 0..1.
    """
    first, second = torch.triu_indices(embeddings.shape[1], embeddings.shape[1], offset=1)
    squares = (embeddings[:, first] - embeddings[:, second]).square() @ shares(embeddings.shape[2]).to(embeddings)
    return (squares / scale_at(progress)).log1p().mean()


def shares(dim: int) -> Tensor:
    """Returns what each number counts, falling geometrically, 1 together: `[dim]`."""
    falling = LEAST_SHARE ** torch.linspace(0, 1, dim, dtype=torch.float32)
    return falling / falling.sum()


def scale_at(progress: float) -> float:
    """Returns the scale of squared changes at a share of the training, 0..1: it falls geometrically."""
    fallen: float = (LAST_SCALE / FIRST_SCALE) ** min(progress / SETTLED, 1.0)
    return FIRST_SCALE * fallen
