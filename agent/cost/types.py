"""What a cost is, and how several add up. Read this first."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from world_model.types import LatentGoal, LatentTrajectory


class Cost(Protocol):
    """Scores imagined trajectories. A cost knows no planner and no environment."""

    def __call__(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:
        """Returns `[batch, num_samples]`, lower is better."""
        ...


class CostModule:
    """The energy of an imagined future: a weighted sum of cost terms (LeCun 2022, section 3.2).

    Args:
        terms: Name to term.
        weights: Term name to its weight, at least 0; a term without a weight is left out.

    Raises:
        ValueError: A weight that names no term or is negative or not finite, or weights that are all 0.
    """

    def __init__(self, *, terms: Mapping[str, Cost], weights: Mapping[str, float]) -> None:
        for name, weight in weights.items():
            if name not in terms:
                raise ValueError(f"a cost weight must name one of the terms {sorted(terms)}, got '{name}'")
            if not 0.0 <= weight < float("inf"):
                raise ValueError(f"the weight of cost term '{name}' must be at least 0 and finite, got {weight}")
        if not any(weights.values()):
            raise ValueError(f"at least one cost weight must be above 0, got {dict(weights)}")
        self._weighted_terms = [(weight, terms[name]) for name, weight in weights.items() if weight > 0.0]

    def __call__(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:
        """Returns the weighted sum, `[batch, num_samples]`."""
        (first_weight, first_term), *others = self._weighted_terms
        total = first_weight * first_term(trajectory, goal)
        for weight, term in others:
            total = total + weight * term(trajectory, goal)
        return total
