"""Random shooting: the best of many random sequences, the floor that every other planner must beat."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from planners.candidates import cheapest
from planners.noise import check_noise, temporal_noise
from planners.shooting import Shooting
from planners.types import ActionBounds


@dataclass(frozen=True, kw_only=True)
class RandomShooting(Shooting):
    """Prices random sequences and returns the best (Rao, "A survey of numerical methods for optimal control", 2009).

    Each action alone is uniform in the box; from step to step actions may be correlated. No iteration learns from the
    one before: they are where a budget of time may end the call. The elites are the best of each iteration; see
    `Shooting`.

    Attributes:
        noise_exponent: Of the noise's power spectrum, at least 0: 0 is white, 1 pink, 2 brown; see `temporal_noise`.
        num_knots: Knots of the spline that the noise is, or None for a free value at each step.

    Raises:
        ValueError: A parameter is out of its range.
    """

    noise_exponent: float
    num_knots: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_noise(self.noise_exponent, self.num_knots)

    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Draws `[batch, num_iterations, num_samples, horizon, action_dim]`, each number uniform in [-1, 1].

        Normal noise, which may be correlated from step to step, is sent through its own distribution function.
        """
        shape = (self.num_iterations, self.num_samples, horizon, *bounds.low.shape)
        normal = temporal_noise(
            generators, shape, like=bounds.low, exponent=self.noise_exponent, num_knots=self.num_knots
        )
        uniform: Tensor = 2 * torch.special.ndtr(normal) - 1
        return uniform

    def _begin(self, last_plan: Tensor, bounds: ActionBounds) -> "_Shots":  # noqa: ARG002
        return _Shots(bounds)


class _Shots:
    """Sequences that nothing is learned from."""

    def __init__(self, bounds: ActionBounds) -> None:
        self._bounds = bounds
        self._best: list[Tensor] = []

    def ask(self, noise: Tensor) -> Tensor:
        return self._bounds.from_unit(noise)

    def tell(self, candidates: Tensor, cost: Tensor, *, wanted: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        best, least = cheapest(candidates, cost)
        self._best.append(best)
        return best, least

    def elites(self) -> Tensor:
        return torch.cat(self._best, dim=1)
