"""Noise for sampling planners: each problem draws from its own generator, so that no problem disturbs another."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Generator, Tensor

from planners.splines import spline_basis
from planners.types import is_whole
from planners.undisturbed import undisturbed


@undisturbed
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
    draws = [torch.randn(1, *shape, generator=it, device=it.device, dtype=like.dtype) for it in generators]
    return _joined(draws).to(like.device)


@undisturbed
def temporal_noise(
    generators: Sequence[Generator], shape: Sequence[int], *, like: Tensor, exponent: float, num_knots: int | None
) -> Tensor:
    """Draws standard normal numbers that are correlated from step to step.

    Args:
        generators: One a problem; see `white_noise`.
        shape: The shape of one problem's noise, `[..., horizon, action_dim]`.
        like: Gives the device and dtype of the result.
        exponent: The power spectrum falls with the frequency to this power: 0 is white, 1 pink, 2 brown noise.
        num_knots: Knots of the cubic spline that each sequence is, or None for a free value at each step. More knots
            than steps are as many as steps.

    Returns:
        `[batch, *shape]`; each number alone has mean 0 and std 1.
    """
    *leading, horizon, action_dim = shape
    num_knots = horizon if num_knots is None else min(num_knots, horizon)
    white = white_noise(generators, (*leading, num_knots, action_dim), like=like)
    if exponent == 0 and num_knots == horizon:
        return white
    factor = _factor(horizon, exponent, num_knots).to(white)
    # problem by problem, or the last bits of each would depend on the others
    flat = torch.split(white.view(len(white), -1, num_knots, action_dim), 1)
    return _joined([torch.einsum("hk,bnkd->bnhd", factor, it) for it in flat]).contiguous().view(len(white), *shape)


def check_noise(noise_exponent: float, num_knots: int | None) -> None:
    """Raises `ValueError` if a planner's parameters describe no noise."""
    if not 0 <= noise_exponent <= 4:
        raise ValueError(f"noise_exponent must be in [0, 4], got {noise_exponent}")
    if num_knots is not None and not (is_whole(num_knots) and num_knots >= 1):
        raise ValueError(f"num_knots must be a whole number of at least 1, or null, got {num_knots!r}")


def check_noise_shape(noise: Tensor, *expected: int, dimensions: str) -> None:
    """Raises `ValueError` unless the noise of a call has the expected shape, of dimensions with these names."""
    if noise.shape != expected:
        raise ValueError(f"noise must be [{dimensions}] = {[*expected]}, got {[*noise.shape]}")


def _joined(problems: Sequence[Tensor]) -> Tensor:
    """Returns one batch of problems, without a copy where there is a single one."""
    return problems[0] if len(problems) == 1 else torch.cat(list(problems))


@lru_cache
def _factor(horizon: int, exponent: float, num_knots: int) -> Tensor:
    """Returns the matrix that turns white noise on the knots into noise on the steps, `[horizon, num_knots]`."""
    factor = spline_basis(num_knots, horizon, order=3) @ _coloring(num_knots, exponent)
    return factor / factor.square().sum(dim=1, keepdim=True).sqrt()


def _coloring(num_steps: int, exponent: float) -> Tensor:
    """Returns the lower triangle `L` for which `L @ white` has a power spectrum of `frequency ** -exponent`.

    The process has twice the length that is used, or its end would be tied to its beginning; frequencies below the
    lowest of the used length count as that (Timmer and König, "On generating power law noise", 1995).
    """
    period = 2 * num_steps
    frequency = torch.fft.rfftfreq(period, dtype=torch.float64, device="cpu").clamp(min=1 / num_steps)
    covariance = torch.fft.irfft(frequency**-exponent, n=period)[:num_steps]
    step = torch.arange(num_steps, device="cpu")
    factor: Tensor = torch.linalg.cholesky((covariance / covariance[0])[(step[:, None] - step).abs()])
    return factor
