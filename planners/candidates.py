"""Sets of candidate action sequences: what enters from outside, what is picked, and what is best."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from planners.types import ActionBounds, Plan


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
    return candidates.gather(1, index.view(*index.shape, 1, 1).expand(-1, -1, *candidates.shape[2:]))


def cheapest(candidates: Tensor, cost: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the cheapest candidate of each problem, `[batch, 1, horizon, action_dim]`, and its cost, `[batch, 1]`."""
    least, index = cost.min(dim=1, keepdim=True)
    return pick(candidates, index), least


def share_of(num_elites: int, candidates: Tensor, *, wanted: int) -> int:
    """Returns how many elites candidates have that are fewer than wanted: the same share, two at least of two."""
    num_samples = candidates.shape[1]
    return max(num_elites * num_samples // wanted, min(num_samples, 2))


def select(candidates: Tensor, cost: Tensor, num_elites: int) -> tuple[Tensor, Tensor, Tensor]:
    """Selects the cheapest candidates, the cheapest first; the first candidate stands in for those without a cost.

    Args:
        candidates: `[batch, num_samples, horizon, action_dim]`.
        cost: `[batch, num_samples]`, finite or +inf.
        num_elites: How many.

    Returns:
        Elites, `[batch, num_elites, horizon, action_dim]`, what they cost, and their index among the candidates, both
        `[batch, num_elites]`.
    """
    elite_cost, index = torch.topk(cost, num_elites, dim=1, largest=False)
    index = index.masked_fill_(elite_cost == math.inf, 0)
    return pick(candidates, index), elite_cost, index


def best_plan(
    finalists: Sequence[tuple[Tensor, Tensor]], *, elites: Tensor, fallback: Tensor, num_evaluations: int
) -> Plan:
    """Returns the plan that the iterations of a search come to.

    Args:
        finalists: Of each iteration, the candidates that may be the plan, `[batch, any, horizon, action_dim]`, and what
            they cost, `[batch, any]`.
        elites: `[batch, num_elites, horizon, action_dim]`, what the search came down to.
        fallback: `[batch, horizon, action_dim]`, the plan of a problem for which no finalist has a finite cost.
        num_evaluations: Spent on each problem.
    """
    sequences, costs = zip(*finalists, strict=True)
    actions, cost = cheapest(torch.cat(sequences, dim=1), torch.cat(costs, dim=1))
    least = [it if it.shape[1] == 1 else it.amin(dim=1, keepdim=True) for it in costs]
    return Plan(
        actions=torch.where(cost[:, :, None] < math.inf, actions[:, 0], fallback),
        cost=cost[:, 0],
        cost_history=torch.cat(least, dim=1).cummin(dim=1).values.T,
        elites=elites,
        num_evaluations=num_evaluations,
    )
