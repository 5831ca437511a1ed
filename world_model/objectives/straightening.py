"""Straightening: paths in embedding space should not bend (Wang et al. 2026)."""

from torch import Tensor
from torch.nn import functional

REST = 1e-3
"""Shorter differences between embeddings count as none."""


def curvature(embeddings: Tensor) -> Tensor:
    """Returns how much paths bend: 1 minus the cosine between consecutive differences, the mean over all that move.

    Straight paths make distances in embedding space honest ("Temporal straightening", Wang et al. 2026). A difference
    that is shorter than `REST` has no direction: it is left out, before and behind.

    Args:
        embeddings: `[batch, time, embed_dim]`, of at least 3 frames.

    Returns:
        A scalar in 0..2; 0 where nothing moves.
    """
    differences = embeddings.diff(dim=1)
    moves = differences.norm(dim=2) > REST
    both = moves[:, 1:] & moves[:, :-1]
    bends = 1 - functional.cosine_similarity(differences[:, 1:][both], differences[:, :-1][both], dim=1)
    mean: Tensor = bends.sum() / both.sum().clamp_min(1)
    return mean
