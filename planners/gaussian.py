"""What a planner that searches with a Gaussian remembers from call to call."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from planners.noise import check_noise_shape
from planners.types import ActionBounds
from planners.warm_start import resize_steps, shift_steps


def check_stds(*, min_std: float, warm_std: float, init_std: float) -> None:
    """Raises `ValueError` if a planner's stds are not in order."""
    if not 0 < min_std <= warm_std <= init_std < math.inf:
        raise ValueError(
            f"stds must satisfy 0 < min_std <= warm_std <= init_std, "
            f"got min_std={min_std}, warm_std={warm_std}, init_std={init_std}"
        )


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

    def to_actions(self, bounds: ActionBounds, *, warm_std: float) -> tuple[Tensor, Tensor, Tensor]:
        """Returns mean, std of at least `warm_std`, and plan in units of the actions.

        Returns:
            Each `[batch, 1, horizon, action_dim]`, as one more candidate; mean and plan inside the bounds.
        """
        mean_and_plan = bounds.from_unit(torch.stack([self.mean, self.plan], dim=1))
        std = (bounds.half_range * self.std.clamp(min=warm_std))[:, None]
        return mean_and_plan[:, :1], std, mean_and_plan[:, 1:]

    @staticmethod
    def from_actions(bounds: ActionBounds, *, mean: Tensor, std: Tensor, plan: Tensor) -> "GaussianState":
        """Returns the state of a Gaussian and a plan in units of the actions; see `to_actions`."""
        mean, plan = bounds.to_unit(torch.cat([mean, plan], dim=1)).unbind(1)
        return GaussianState(mean=mean, std=(std / bounds.half_range)[:, 0], plan=plan)

    def check(self, noise: Tensor, num_proposals: int, *, num_iterations: int, num_samples: int) -> None:
        """Raises `ValueError` unless the noise is for this state, and the samples hold what is given beside them."""
        batch_size, *step_shape = self.mean.shape
        dimensions = "batch, num_iterations, num_samples, horizon, action_dim"
        check_noise_shape(noise, batch_size, num_iterations, num_samples, *step_shape, dimensions=dimensions)
        if num_proposals + 2 > num_samples:
            raise ValueError(
                f"num_samples must be at least {num_proposals + 2} to hold {num_proposals} proposals, the last plan "
                f"and the mean, got {num_samples}"
            )

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
