"""What a planner that searches with a Gaussian remembers from call to call."""

from dataclasses import dataclass

import torch
from torch import Tensor

from planners.types import ActionBounds
from planners.warm_start import resize_steps, shift_steps


@dataclass(frozen=True)
class GaussianState:
    """Where the search stands, in units of the box.

    Attributes:
        mean: `[batch, horizon, action_dim]`, of the Gaussian.
        std: `[batch, horizon, action_dim]`, of the Gaussian.
        plan: `[batch, horizon, action_dim]`, the last plan, which the next call prices first.
    """

    mean: Tensor
    std: Tensor
    plan: Tensor

    @staticmethod
    def init(bounds: ActionBounds, *, batch_size: int, horizon: int, std: float) -> "GaussianState":
        """Returns a Gaussian around the centre of the box.

        Raises:
            ValueError: A batch or horizon below 1.
        """
        if batch_size < 1 or horizon < 1:
            raise ValueError(f"batch_size and horizon must be at least 1, got {batch_size} and {horizon}")
        center = bounds.low.new_zeros(batch_size, horizon, *bounds.low.shape)
        return GaussianState(mean=center, std=torch.full_like(center, std), plan=center)

    def shift(self, num_steps: int, *, std: float) -> "GaussianState":
        """Moves the Gaussian and the plan on; the new steps at the end are those of `init`."""
        return GaussianState(
            mean=shift_steps(self.mean, num_steps, fill=0.0),
            std=shift_steps(self.std, num_steps, fill=std),
            plan=shift_steps(self.plan, num_steps, fill=0.0),
        )

    def resize(self, horizon: int, *, std: float) -> "GaussianState":
        """Cuts the Gaussian and the plan, or extends them by steps of `init`."""
        return GaussianState(
            mean=resize_steps(self.mean, horizon, fill=0.0),
            std=resize_steps(self.std, horizon, fill=std),
            plan=resize_steps(self.plan, horizon, fill=0.0),
        )
