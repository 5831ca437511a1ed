"""Sets of candidate action sequences: what enters from outside, what is picked, and the best so far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from planners.types import ActionBounds


def admit(proposals: Sequence[Tensor], *, bounds: ActionBounds, batch_size: int, horizon: int) -> list[Tensor]:
    """Returns proposals as candidates: inside the bounds, with the centre of the box in place of NaN.

    Args:
        proposals: Each `[batch, horizon, action_dim]`.
        bounds: The box of the actions; gives device and dtype.
        batch_size: Problems of the batch.
        horizon: Planned steps.

    Raises:
        ValueError: A proposal has another shape.
    """
    expected = (batch_size, horizon, *bounds.low.shape)
    for proposal in proposals:
        if proposal.shape != expected:
            raise ValueError(
                f"a proposal must be [batch, horizon, action_dim] = {[*expected]}, got {[*proposal.shape]}"
            )
    moved = [proposal.to(bounds.low) for proposal in proposals]
    return [bounds.clip(torch.where(proposal.isnan(), bounds.center, proposal)) for proposal in moved]


def pick(candidates: Tensor, index: Tensor) -> Tensor:
    """Returns the candidates that `index`, `[batch, num_picked]`, names: `[batch, num_picked, horizon, action_dim]`."""
    return candidates.gather(1, index[:, :, None, None].expand(-1, -1, *candidates.shape[2:]))


def cheapest(candidates: Tensor, cost: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the cheapest candidate of each problem, `[batch, horizon, action_dim]`, and its cost, `[batch]`."""
    least, index = cost.min(dim=1, keepdim=True)
    return pick(candidates, index)[:, 0], least[:, 0]


@dataclass(frozen=True)
class Incumbent:
    """The best sequence so far of each problem.

    Attributes:
        actions: `[batch, horizon, action_dim]`.
        cost: `[batch]`, +inf while no candidate had a finite cost.
    """

    actions: Tensor
    cost: Tensor

    @classmethod
    def unpriced(cls, actions: Tensor) -> "Incumbent":
        """Returns the incumbent that any candidate of finite cost replaces."""
        return cls(actions=actions, cost=actions.new_full(actions.shape[:1], math.inf))

    def challenged(self, actions: Tensor, cost: Tensor) -> "Incumbent":
        """Returns the cheaper of the incumbent and a challenger, problem by problem.

        Args:
            actions: `[batch, horizon, action_dim]`.
            cost: `[batch]`, from `evaluate`.
        """
        cheaper = cost < self.cost
        return Incumbent(
            actions=torch.where(cheaper[:, None, None], actions, self.actions),
            cost=torch.minimum(cost, self.cost),
        )
