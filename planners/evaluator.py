"""An objective under a budget: where candidates are priced, counted, and kept within time and memory."""

import math
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from planners.types import Budget, Objective, Score, TrajectoryObjective


class Evaluator:
    """Prices the candidates of one planning call and keeps count of what they cost.

    It is the one gate between a planner and an objective. Costs and violations of any real type come out as those of
    the candidates; what is not finite becomes +inf, so that a NaN candidate never wins; what has the wrong shape is
    refused. An objective is handed copies: whatever it does to them, a planner's own candidates stay as they are.

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
        left = self.left()
        return num_evaluations if left is None else max(min(num_evaluations, left - reserved), 0)

    def left(self) -> int | None:
        """Returns how many evaluations are left, or None for any."""
        return None if self._budget.num_evaluations is None else self._budget.num_evaluations - self.num_evaluations

    def elapsed(self) -> float:
        """Returns the time that the call has taken so far, ms; 0 where the budget has no time."""
        return 1e3 * (self._now() - self._started)

    def price(self, candidates: Tensor) -> Score:
        """Prices candidates `[batch, num_samples, horizon, action_dim]`; each is one evaluation.

        Raises:
            ValueError: The objective returns a cost or violation of the wrong shape.
        """
        self.num_evaluations += candidates.shape[1]
        if self._budget.chunk_size is None:
            return _checked(self._objective(candidates.clone()), candidates)
        chunks = [_checked(self._objective(chunk.clone()), chunk) for chunk in self._chunks(candidates)]
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
        cost, (gradient,) = self.differentiate(self._objective, candidates)
        return cost, gradient

    def differentiate(self, function: Callable[..., Score], *inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Prices candidates by a function of several variables and differentiates; each is three evaluations.

        Args:
            function: Turns variables into a score.
            inputs: Its variables, each `[batch, num_samples, ...]`.

        Returns:
            Cost, `[batch, num_samples]`, and its gradient with respect to each variable, of that variable's shape, 0
            wherever it is not finite.

        Raises:
            ValueError: The function returns a cost or violation of the wrong shape, or a cost without a gradient.
        """
        self.num_evaluations += 3 * inputs[0].shape[1]
        costs, gradients = [], []
        for chunk in zip(*map(self._chunks, inputs), strict=True):
            with torch.enable_grad():
                variables = [variable.detach().requires_grad_() for variable in chunk]
                cost = _checked(function(*(variable.clone() for variable in variables)), variables[0]).cost
                gradients.append(_gradients(cost, variables))
            costs.append(cost.detach())
        return torch.cat(costs, dim=1), tuple(torch.cat(parts, dim=1) for parts in zip(*gradients, strict=True))

    def rollout(self, objective: TrajectoryObjective, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """Prices candidates and shows where they lead; each is one evaluation.

        Returns:
            States, `[batch, num_samples, horizon, state_dim]`, and cost, `[batch, num_samples]`.

        Raises:
            ValueError: The objective returns a cost or violation of the wrong shape.
        """
        self.num_evaluations += candidates.shape[1]
        states, costs = [], []
        for chunk in self._chunks(candidates):
            states.append(objective.rollout(chunk.clone()))
            costs.append(_checked(objective.price(states[-1].clone(), chunk.clone()), chunk).cost)
        return torch.cat(states, dim=1), torch.cat(costs, dim=1)

    def charge(self, num_evaluations: int) -> None:
        """Counts evaluations that were spent elsewhere; the time that they took is that of no iteration."""
        self.num_evaluations += num_evaluations
        self._last_grant = self._now()

    def _chunks(self, candidates: Tensor) -> Sequence[Tensor]:
        if self._budget.chunk_size is None or candidates.shape[1] <= self._budget.chunk_size:
            return (candidates,)
        return torch.split(candidates, self._budget.chunk_size, dim=1)

    def _now(self) -> float:
        return 0.0 if self._budget.milliseconds is None else time.perf_counter()


def _checked(score: Score, candidates: Tensor) -> Score:
    """Returns the score of candidates in their own type, with +inf in place of what is not finite."""
    if not isinstance(score, Score) or not isinstance(score.cost, Tensor) or not isinstance(score.violations, Tensor):
        raise ValueError(f"an objective must return a Score of two tensors, got {score!r}")
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
    if score.cost.is_complex() or score.violations.is_complex():
        raise ValueError(
            f"an objective must return real costs and violations, got {score.cost.dtype} and {score.violations.dtype}"
        )
    return Score(
        cost=_not_finite_to_inf(score.cost.to(candidates)),
        violations=_not_finite_to_inf(score.violations.to(candidates)),
    )


def _gradients(cost: Tensor, variables: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Returns the gradient of each candidate's cost; one that has no finite cost may be without."""
    gradients: Sequence[Tensor | None] = [None] * len(variables)
    if cost.requires_grad:
        gradients = torch.autograd.grad(cost.sum(), variables, allow_unused=True)
    if all(gradient is None for gradient in gradients) and bool(torch.isfinite(cost).any()):
        raise ValueError("gradients need a cost that is differentiable in the actions, got one without")
    return tuple(
        torch.zeros_like(variable) if gradient is None else _bounded(gradient)
        for gradient, variable in zip(gradients, variables, strict=True)
    )


def _bounded(gradient: Tensor) -> Tensor:
    """Returns a gradient whose squares are finite too, 0 wherever it is not finite itself."""
    largest = torch.finfo(gradient.dtype).max ** 0.5 / 2
    return torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0).clamp(-largest, largest)


def _not_finite_to_inf(values: Tensor) -> Tensor:
    if values.numel() == 0:
        return values
    return torch.nan_to_num(values, nan=math.inf, posinf=math.inf, neginf=math.inf)
