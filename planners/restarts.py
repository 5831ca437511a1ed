"""Descents: a gradient finds the nearest valley, several starts find several."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from planners.candidates import admit
from planners.noise import check_noise, check_noise_shape, temporal_noise
from planners.plan_state import FromLastPlan
from planners.types import ActionBounds


@dataclass(frozen=True, kw_only=True)
class Restarts(FromLastPlan):
    """What planners share that descend from several starts: the proposals, the last plan, and that with noise.

    Attributes:
        num_restarts: Starts, proposals and last plan included.
        init_std: Of the noise, in units of the box, above 0.
        noise_exponent: Of the noise's power spectrum, at least 0: 0 is white, 1 pink, 2 brown; see `temporal_noise`.
        num_knots: Knots of the spline that the noise is, or None for a free value at each step.

    Raises:
        ValueError: A parameter is out of its range.
    """

    num_restarts: int
    init_std: float
    noise_exponent: float
    num_knots: int | None

    def __post_init__(self) -> None:
        if self.num_restarts < 1:
            raise ValueError(f"num_restarts must be at least 1, got {self.num_restarts}")
        if not 0 < self.init_std < math.inf:
            raise ValueError(f"init_std must be above 0 and finite, got {self.init_std}")
        check_noise(self.noise_exponent, self.num_knots)

    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Draws `[batch, num_restarts, horizon, action_dim]`."""
        shape = (self.num_restarts, horizon, *bounds.low.shape)
        return temporal_noise(
            generators, shape, like=bounds.low, exponent=self.noise_exponent, num_knots=self.num_knots
        )

    def starts(self, plan: Tensor, noise: Tensor, *, bounds: ActionBounds, proposals: Sequence[Tensor]) -> Tensor:
        """Returns where descents start, inside the bounds.

        Args:
            plan: `[batch, horizon, action_dim]`, the last plan, in units of the box.
            noise: From `sample_noise`.
            bounds: Of the actions.
            proposals: Each `[batch, horizon, action_dim]`.

        Returns:
            `[batch, num_restarts, horizon, action_dim]`.

        Raises:
            ValueError: The noise or a proposal has the wrong shape, or there are too many proposals.
        """
        batch_size, horizon, action_dim = plan.shape
        dimensions = "batch, num_restarts, horizon, action_dim"
        check_noise_shape(noise, batch_size, self.num_restarts, horizon, action_dim, dimensions=dimensions)
        num_given = len(proposals) + 1
        if num_given > self.num_restarts:
            raise ValueError(
                f"num_restarts must be at least {num_given} to hold {len(proposals)} proposals and the last plan, "
                f"got {self.num_restarts}"
            )
        given = [*admit(proposals, bounds=bounds, batch_size=batch_size, horizon=horizon), bounds.from_unit(plan)]
        random = bounds.from_unit(plan[:, None] + self.init_std * noise[:, num_given:])
        return torch.cat([torch.stack(given, dim=1), random], dim=1)
