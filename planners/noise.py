"""Noise for sampling planners: each problem draws from its own generator, so that no problem disturbs another."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor


def white_noise(generators: Sequence[Generator], shape: Sequence[int], *, like: Tensor) -> Tensor:
    """Draws independent standard normal numbers.

    Args:
        generators: One a problem, owned by the caller; the numbers are drawn on the generator's own device, so that a
            seed means the same noise wherever the plan is made.
        shape: The shape of one problem's noise.
        like: Gives the device and dtype of the result.

    Returns:
        `[batch, *shape]`.
    """
    draws = [torch.randn(*shape, generator=it, device=it.device, dtype=like.dtype) for it in generators]
    return torch.stack(draws).to(like.device)
