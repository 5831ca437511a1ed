"""What a cost is, and how several add up. Read this first."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from jepa_mpc.ranges import check_number
from world_model.types import LatentGoal, LatentTrajectory

SMALLEST_LIMIT = 1e-3
"""Violations of a smaller limit are counted in units of this one, as a fraction of 0 is none."""


class Cost(Protocol):
    """Scores imagined trajectories. A cost knows no planner and no environment."""

    def __call__(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:
        """Returns `[batch, num_samples]`, lower is better."""
        ...


class Critic(Protocol):
    """Predicts what is still to come (LeCun 2022, section 3.2): the only cost that learns."""

    def __call__(self, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        """Returns how far the goal is, in model steps, of each member of the ensemble.

        It is about 0 at the goal. Where the critic learned with a discount, each later step counts less: k steps are
        told as (1 - discount^k) / (1 - discount), which is never more than 1 / (1 - discount).

        Args:
            embeddings: `[batch, num_states, embed_dim]`.
            goal: Of the batch.

        Returns:
            `[num_members, batch, num_states]`.
        """
        ...


class CostModule:
    """The energy of an imagined future: a weighted sum of cost terms (LeCun 2022, section 3.2), some of them limited.

    Args:
        terms: Name to term.
        weights: Term name to its weight, at least 0; a term without a weight is left out.
        limits: Term name to the most that it may be. Such a term is a constraint, and no part of the sum.

    Raises:
        ValueError: A weight or limit that names no term or is not finite, a weight that is negative, or no weight above
            0 of a term without a limit.
    """

    def __init__(self, *, terms: Mapping[str, Cost], weights: Mapping[str, float], limits: Mapping[str, float]) -> None:
        for name, weight in weights.items():
            if name not in terms:
                raise ValueError(f"a cost weight must name one of the terms {sorted(terms)}, got '{name}'")
            check_number(f"the weight of cost term '{name}'", weight, least=0)
        for name, limit in limits.items():
            if name not in terms:
                raise ValueError(f"a cost limit must name one of the terms {sorted(terms)}, got '{name}'")
            check_number(f"the limit of cost term '{name}'", limit)
        if not any(weight for name, weight in weights.items() if name not in limits):
            raise ValueError(
                f"at least one cost weight must be above 0, got {dict(weights)}"
                + (f", of which {sorted(limits)} are constraints" if limits else "")
            )
        self._weighted_terms = [
            (weight, terms[name]) for name, weight in weights.items() if weight > 0.0 and name not in limits
        ]
        self._limited_terms = [(limit, terms[name]) for name, limit in limits.items()]

    def __call__(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:
        """Returns the weighted sum of the terms without a limit, `[batch, num_samples]`."""
        (first_weight, first_term), *others = self._weighted_terms
        total = first_weight * first_term(trajectory, goal)
        for weight, term in others:
            total = total + weight * term(trajectory, goal)
        return total

    def violations(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:
        """Returns by how much each limited term exceeds its limit, `[batch, num_samples, num_constraints]`.

        It is a fraction of the limit, so that one tolerance fits terms of any scale: 0.1 is a tenth too much.
        """
        exceeds = [
            (term(trajectory, goal) - limit) / max(abs(limit), SMALLEST_LIMIT) for limit, term in self._limited_terms
        ]
        if not exceeds:
            return trajectory.embeddings.new_zeros(*trajectory.embeddings.shape[:2], 0)
        return torch.stack(exceeds, dim=2)
