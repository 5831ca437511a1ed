"""Splines: a few knots in place of a free value at every step."""

import torch
from torch import Tensor

ORDERS = (0, 1, 3)
"""Zero-order hold, linear, and cubic Hermite with finite-difference slopes."""


def spline_basis(num_knots: int, horizon: int, *, order: int) -> Tensor:
    """Returns how much each knot counts at each step: `[horizon, num_knots]`, float64, rows that sum to 1.

    The first knot lies at the first step and the last at the last; those between are evenly spaced. The curve through
    `knots`, `[num_knots, ...]`, is `basis @ knots`.

    Args:
        num_knots: In 1..horizon.
        horizon: Steps.
        order: One of `ORDERS`.

    Raises:
        ValueError: Knots or order out of range.
    """
    if not 1 <= num_knots <= horizon:
        raise ValueError(f"num_knots must be in 1..horizon={horizon}, got {num_knots}")
    if order not in ORDERS:
        raise ValueError(f"spline_order must be one of {ORDERS}, got {order}")
    knots = torch.eye(num_knots, dtype=torch.float64, device="cpu")
    if num_knots == 1:
        return knots.expand(horizon, 1).clone()
    position = torch.linspace(0.0, num_knots - 1.0, horizon, dtype=torch.float64, device="cpu")
    before = (position + 1e-9).floor().long().clamp(max=num_knots - 1)
    after = (before + 1).clamp(max=num_knots - 1)
    way = (position - before)[:, None].clamp(min=0.0)  # from the knot before to the one after, [horizon, 1]
    if order == 0:
        return knots[before]
    if order == 1:
        return torch.lerp(knots[before], knots[after], way)
    slopes = torch.gradient(knots, dim=0)[0] if num_knots > 2 else (knots[1:] - knots[:1]).expand(2, 2)
    return (
        (2 * way**3 - 3 * way**2 + 1) * knots[before]
        + (way**3 - 2 * way**2 + way) * slopes[before]
        + (3 * way**2 - 2 * way**3) * knots[after]
        + (way**3 - way**2) * slopes[after]
    )
