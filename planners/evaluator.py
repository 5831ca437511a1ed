"""An objective under a budget: where candidates are priced, counted, and kept within time and memory."""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from planners.types import Budget, Objective, Score


class Evaluator:
    """Prices the candidates of one planning call and keeps count of what they cost.

    It is the one gate through which a cost enters a planner: a cost or violation that is not finite becomes +inf, so
    that a NaN candidate never wins, and one of the wrong shape is refused.

    Args:
        objective: Prices candidates.
        budget: What the call may spend; its time begins now.
    """

    def __init__(self, objective: Objective, budget: Budget) -> None:
        self.num_evaluations = 0
        self._objective = objective
        self._budget = budget
        self._started = self._last_grant = self._now()
        self._longest = 0.0

    def grant(self, num_evaluations: int, *, reserved: int = 0) -> int:
        """Returns how many of the evaluations that the next iteration would like it may spend; 0 ends the search.

        Args:
            num_evaluations: That it would like.
            reserved: That are held back for later.
        """
        if self._budget.milliseconds is not None:
            now = self._now()
            self._longest = max(self._longest, now - self._last_grant)
            self._last_grant = now
            if self.num_evaluations and now - self._started + self._longest > self._budget.milliseconds / 1e3:
                return 0
        if self._budget.num_evaluations is None:
            return num_evaluations
        return max(min(num_evaluations, self._budget.num_evaluations - self.num_evaluations - reserved), 0)

    def price(self, candidates: Tensor) -> Score:
        """Prices candidates `[batch, num_samples, horizon, action_dim]`; each is one evaluation.

        Raises:
            ValueError: The objective returns a cost or violation of the wrong shape.
        """
        self.num_evaluations += candidates.shape[1]
        if self._budget.chunk_size is None:
            return self._price_chunk(candidates)
        chunks = [self._price_chunk(chunk) for chunk in self._chunks(candidates)]
        return Score(
            cost=torch.cat([chunk.cost for chunk in chunks], dim=1),
            violations=torch.cat([chunk.violations for chunk in chunks], dim=1),
        )

    def price_with_gradient(self, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Prices candidates and differentiates; each is three evaluations.

        Returns:
            Cost, `[batch, num_samples]`, and its gradient with respect to the actions, of the shape of the candidates,
            0 wherever it is not finite.

        Raises:
            ValueError: The objective returns a cost or violation of the wrong shape, or a cost without a gradient.
        """
        self.num_evaluations += 3 * candidates.shape[1]
        costs, gradients = [], []
        for chunk in self._chunks(candidates):
            with torch.enable_grad():
                actions = chunk.detach().requires_grad_()
                cost = self._price_chunk(actions).cost
                if not cost.requires_grad:
                    raise ValueError("gradients need a cost that is differentiable in the actions, got one without")
                (gradient,) = torch.autograd.grad(cost.sum(), actions)
            costs.append(cost.detach())
            gradients.append(torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0))
        return torch.cat(costs, dim=1), torch.cat(gradients, dim=1)

    def charge(self, num_evaluations: int) -> None:
        """Counts evaluations that were spent elsewhere."""
        self.num_evaluations += num_evaluations

    def _chunks(self, candidates: Tensor) -> Sequence[Tensor]:
        if self._budget.chunk_size is None or candidates.shape[1] <= self._budget.chunk_size:
            return (candidates,)
        return torch.split(candidates, self._budget.chunk_size, dim=1)

    def _price_chunk(self, candidates: Tensor) -> Score:
        score = self._objective(candidates)
        expected = candidates.shape[:2]
        if score.cost.shape != expected:
            raise ValueError(
                f"an objective must return cost [batch, num_samples] = {[*expected]}, got {[*score.cost.shape]}"
            )
        if score.violations.ndim != 3 or score.violations.shape[:2] != expected:
            raise ValueError(
                f"an objective must return violations [batch, num_samples, num_constraints] = "
                f"{[*expected, 'num_constraints']}, got {[*score.violations.shape]}"
            )
        return Score(cost=_not_finite_to_inf(score.cost), violations=_not_finite_to_inf(score.violations))

    def _now(self) -> float:
        return 0.0 if self._budget.milliseconds is None else time.perf_counter()


def _not_finite_to_inf(values: Tensor) -> Tensor:
    if values.numel() == 0:
        return values
    return torch.nan_to_num(values, nan=math.inf, posinf=math.inf, neginf=math.inf)
