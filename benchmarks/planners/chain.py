"""A problem in which every action must give way to the last, whose optimum a quadratic program knows."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from benchmarks.planners.objectives import priced
from planners.types import ActionBounds, Score


@dataclass(frozen=True)
class Chain:
    """A weighted distance of each action to a target, where an action may differ little from the one before.

    Attributes:
        targets: `[horizon]`.
        weights: `[horizon]`, at least 0.
        effort: Of the sum of the squared actions, at least 0.
        max_change: Most that an action may differ from the one before, above 0.
        start: The action before the first.
    """

    targets: Tensor
    weights: Tensor
    effort: float
    max_change: float
    start: float

    def bounds(self, batch_size: int) -> ActionBounds:
        """Returns the box [-1, 1] of one dimension with the limit."""
        return ActionBounds(
            low=-torch.ones(1),
            high=torch.ones(1),
            max_change=torch.tensor([self.max_change]),
            previous_action=torch.full((batch_size, 1), self.start),
        )

    def __call__(self, actions: Tensor) -> Score:
        """Prices sequences `[batch, num_samples, horizon, 1]`."""
        return priced(self._cost(actions[..., 0], self.targets, self.weights))

    def optimum(self) -> float:
        """Returns the least cost that is allowed, of a quadratic program in double precision."""
        targets, weights = self.targets.double().numpy(), self.weights.double().numpy()
        num_steps = len(targets)
        changes = np.eye(num_steps) - np.eye(num_steps, k=-1)
        first = np.zeros(num_steps)
        first[0] = self.start
        found = minimize(
            lambda actions: float(self._cost(torch.from_numpy(actions), *map(torch.from_numpy, (targets, weights)))),
            np.full(num_steps, self.start),
            method="SLSQP",
            bounds=[(-1.0, 1.0)] * num_steps,
            constraints={
                "type": "ineq",
                "fun": lambda actions: np.concatenate(
                    [self.max_change - (changes @ actions - first), self.max_change + (changes @ actions - first)]
                ),
            },
            options={"ftol": 1e-14, "maxiter": 1000},
        )
        assert found.success, found.message
        return float(found.fun)

    def _cost(self, actions: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        return (weights * (actions - targets).square() + self.effort * actions.square()).sum(dim=-1)


def late_target() -> Chain:
    """Returns five steps of which only the last has a target, out of reach unless all of them go there."""
    return Chain(
        targets=torch.ones(5), weights=torch.tensor([0.0, 0.0, 0.0, 0.0, 1.0]), effort=0.01, max_change=0.2, start=0.0
    )


def there_and_back() -> Chain:
    """Returns eight steps with targets that jump further than actions may, and leave the box."""
    return Chain(
        targets=torch.tensor([0.5, 2.0, 2.0, 2.0, -1.0, -0.5, 0.8, -0.9]),
        weights=torch.ones(8),
        effort=0.0,
        max_change=0.4,
        start=-0.3,
    )
