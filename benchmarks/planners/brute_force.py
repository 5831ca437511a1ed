"""The optimum of a small control problem by brute force: dynamic programming on a grid, then polishing.

Dynamic programming over a dense grid of states and actions (Bellman 1957; values between grid points are multilinear)
finds the right valley wherever valleys are wider than a cell. Its greedy plan starts at the true start and takes its
steps with the true dynamics; L-BFGS-B in double precision then goes to the bottom of the valley.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from benchmarks.planners.dynamics import RolloutObjective
from planners.types import ActionBounds


@dataclass(frozen=True)
class Optimum:
    """The best plan of a problem.

    Attributes:
        actions: `[horizon, action_dim]`, float64.
        cost: Of the actions.
        grid_cost: What dynamic programming expected it to cost, before the plan was polished.
    """

    actions: Tensor
    cost: float
    grid_cost: float


def brute_force(
    objective: RolloutObjective,
    *,
    bounds: ActionBounds,
    horizon: int,
    low: Sequence[float],
    high: Sequence[float],
    num_states: Sequence[int],
    num_levels: int,
) -> Optimum:
    """Returns the best plan from the objective's one start.

    Args:
        objective: Of one problem.
        bounds: Of the actions.
        horizon: Steps.
        low: Least state of the grid, one a dimension; states beyond count as those at its edge.
        high: Greatest state of the grid.
        num_states: Grid points, one a dimension.
        num_levels: Grid points an action dimension.
    """
    grid = Grid(torch.tensor(low), torch.tensor(high), tuple(num_states))
    levels = bounds.grid(num_levels)  # [num_actions, action_dim]
    values = [torch.zeros(len(grid.points))]
    moves = [(*grid.locate(after), cost) for after, cost in _steps(objective, grid.points, levels)]
    for _ in range(horizon):
        value = torch.full_like(values[0], torch.inf)
        for index, weight, cost in moves:
            value = torch.minimum(value, cost + (weight * values[0][index]).sum(dim=0))
        values.insert(0, value)

    state, actions = objective.start, []
    for value in values[1:]:
        costs = [cost + grid.interpolate(value, after) for after, cost in _steps(objective, state, levels)]
        actions.append(levels[torch.stack(costs)[:, 0].argmin()])
        state = objective.step(state, actions[-1][None])
    polished = polish(objective, torch.stack(actions), bounds=bounds)
    return Optimum(actions=polished[0], cost=polished[1], grid_cost=float(grid.interpolate(values[0], objective.start)))


def polish(objective: RolloutObjective, actions: Tensor, *, bounds: ActionBounds) -> tuple[Tensor, float]:
    """Returns the bottom of the valley in which `actions`, `[horizon, action_dim]`, lie, and its cost."""
    shape = actions.shape

    def price(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        candidate = torch.tensor(flat).view(1, 1, *shape).requires_grad_()
        cost = objective(candidate).cost.sum()
        (gradient,) = torch.autograd.grad(cost, candidate)
        return float(cost.detach()), gradient.flatten().numpy()

    box = list(zip(bounds.low.tolist(), bounds.high.tolist(), strict=True)) * shape[0]
    found = minimize(
        price,
        actions.double().flatten().numpy(),
        jac=True,
        method="L-BFGS-B",
        bounds=box,
        options={"maxiter": 2_000, "ftol": 1e-14, "gtol": 1e-9},
    )
    return torch.tensor(found.x).view(shape), float(found.fun)


@dataclass(frozen=True)
class Grid:
    """A regular grid of states.

    Attributes:
        low: `[state_dim]`, its first point.
        high: `[state_dim]`, its last.
        num_states: Points a dimension.
    """

    low: Tensor
    high: Tensor
    num_states: tuple[int, ...]

    @property
    def points(self) -> Tensor:
        """All states, `[num_points, state_dim]`, the last dimension fastest."""
        axes = [
            torch.linspace(low, high, number)
            for low, high, number in zip(self.low.tolist(), self.high.tolist(), self.num_states, strict=True)
        ]
        return torch.cartesian_prod(*axes).view(-1, len(axes))

    def locate(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the points around states `[num, state_dim]` and how much each counts, both `[num_corners, num]`."""
        last = torch.tensor(self.num_states) - 1
        position = ((states - self.low) / (self.high - self.low)).clamp(0, 1) * last
        cell = torch.minimum(position.long(), last - 1)
        way = position - cell
        strides = torch.tensor([int(np.prod(self.num_states[dim + 1 :])) for dim in range(len(self.num_states))])
        indices, weights = [], []
        for corner in product((0, 1), repeat=len(self.num_states)):
            far = torch.tensor(corner)
            indices.append(((cell + far) * strides).sum(dim=1))
            weights.append(torch.where(far == 1, way, 1 - way).prod(dim=1))
        return torch.stack(indices), torch.stack(weights)

    def interpolate(self, values: Tensor, states: Tensor) -> Tensor:
        """Returns the values, `[num_points]` on the grid, at states `[num, state_dim]`: `[num]`."""
        index, weight = self.locate(states)
        return (weight * values[index]).sum(dim=0)


def _steps(objective: RolloutObjective, states: Tensor, levels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yields, for each action, the states that it leads to from `states`, and the cost of that step, `[num]`."""
    for level in levels:
        actions = level.expand(len(states), -1)
        after = objective.step(states, actions)
        yield after, objective.step_cost(after, actions)
