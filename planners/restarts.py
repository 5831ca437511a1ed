"""Where descents start: a gradient finds the nearest valley, several starts find several."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from planners.candidates import admit
from planners.noise import check_noise_shape
from planners.types import ActionBounds


def restarts(
    plan: Tensor, noise: Tensor, *, bounds: ActionBounds, proposals: Sequence[Tensor], num_restarts: int, std: float
) -> Tensor:
    """Returns where descents start: the proposals, the last plan, and the last plan with noise.

    Args:
        plan: `[batch, horizon, action_dim]`, the last plan, in units of the box.
        noise: `[batch, num_restarts, horizon, action_dim]`.
        bounds: Of the actions.
        proposals: Each `[batch, horizon, action_dim]`.
        num_restarts: How many.
        std: Of the noise, in units of the box.

    Returns:
        `[batch, num_restarts, horizon, action_dim]`, inside the bounds.

    Raises:
        ValueError: The noise or a proposal has the wrong shape, or there are too many proposals.
    """
    batch_size, horizon, action_dim = plan.shape
    dimensions = "batch, num_restarts, horizon, action_dim"
    check_noise_shape(noise, batch_size, num_restarts, horizon, action_dim, dimensions=dimensions)
    num_given = len(proposals) + 1
    if num_given > num_restarts:
        raise ValueError(
            f"num_restarts must be at least {num_given} to hold {len(proposals)} proposals and the last plan, "
            f"got {num_restarts}"
        )
    given = [*admit(proposals, bounds=bounds, batch_size=batch_size, horizon=horizon), bounds.from_unit(plan)]
    random = bounds.from_unit(plan[:, None] + std * noise[:, num_given:])
    return torch.cat([torch.stack(given, dim=1), random], dim=1)


def check_restarts(num_restarts: int, init_std: float) -> None:
    """Raises `ValueError` if a planner's parameters describe no starts."""
    if num_restarts < 1:
        raise ValueError(f"num_restarts must be at least 1, got {num_restarts}")
    if not 0 < init_std < math.inf:
        raise ValueError(f"init_std must be above 0 and finite, got {init_std}")
