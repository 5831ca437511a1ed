"""Draws of several futures, each problem's by a generator of its own."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def draw_latents(generators: Sequence[Generator], *, num_futures: int, horizon: int, latent_dim: int) -> Tensor:
    """Draws quantiles that cover 0..1 evenly at each step (Latin hypercube sampling, McKay et al. 1979).

    Each number alone is uniform; at each step each of `num_futures` equal parts of 0..1 is drawn from once. So even a
    few futures hold a rare event about as often as it happens.

    Args:
        generators: Of each problem, on the CPU.
        num_futures: Of each problem.
        horizon: Imagined model steps.
        latent_dim: Quantiles that tell a z.

    Returns:
        `[batch, num_futures, horizon, latent_dim]`, in 0..1.
    """
    shape = (num_futures, horizon, latent_dim)
    draws = []
    for generator in generators:
        parts = torch.rand(shape, generator=generator, dtype=torch.float32).argsort(dim=0)
        within = torch.rand(shape, generator=generator, dtype=torch.float32)
        draws.append((parts + within) / num_futures)
    return torch.stack(draws)
