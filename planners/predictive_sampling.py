"""Predictive sampling: disturb the spline of the last plan, and keep the best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Generator, Tensor

from planners.candidates import cheapest
from planners.noise import white_noise
from planners.shooting import Shooting
from planners.splines import ORDERS, spline_basis
from planners.types import ActionBounds
from planners.undisturbed import undisturbed


@dataclass(frozen=True, kw_only=True)
class PredictiveSampling(Shooting):
    """Prices splines around the best one, with Gaussian noise of one std on their knots.

    Howell et al., "Predictive sampling: real-time behaviour synthesis with MuJoCo", 2022, algorithm 1: a candidate is
    the nominal spline with noise on its knots, clipped to the bounds, and the best candidate is the next nominal.
    Here the nominal is the spline that lies nearest, in least squares, to the best sequence so far: a shifted plan or a
    proposal need not be a spline of as many knots. It is a candidate as it is, so that nothing is lost. The
    elites are the best after each iteration, of which the paper has one; see `Shooting`.

    Attributes:
        num_knots: Of the spline; more knots than steps are as many as steps.
        spline_order: 0 holds a knot until the next, 1 is linear, 3 cubic; see `spline_basis`.
        std: Of the noise on the knots, in units of the box.

    Raises:
        ValueError: A parameter is out of its range.
    """

    num_knots: int
    spline_order: int
    std: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_knots < 1:
            raise ValueError(f"num_knots must be at least 1, got {self.num_knots}")
        if self.spline_order not in ORDERS:
            raise ValueError(f"spline_order must be one of {ORDERS}, got {self.spline_order}")
        if not 0 < self.std < math.inf:
            raise ValueError(f"std must be above 0 and finite, got {self.std}")

    @undisturbed
    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Draws splines through standard normal knots: `[batch, num_iterations, num_samples, horizon, action_dim]`."""
        num_knots = min(self.num_knots, horizon)
        knots = white_noise(
            generators, (self.num_iterations, self.num_samples, num_knots, *bounds.low.shape), like=bounds.low
        )
        return spline_basis(num_knots, horizon, order=self.spline_order).to(knots) @ knots

    def _begin(self, last_plan: Tensor, bounds: ActionBounds) -> "_Disturbance":
        horizon = last_plan.shape[1]
        nearest_spline = _projection(horizon, min(self.num_knots, horizon), self.spline_order).to(last_plan)
        return _Disturbance(last_plan, nearest_spline, bounds, std=self.std)


class _Disturbance:
    """Splines around the best sequence so far."""

    def __init__(self, last_plan: Tensor, nearest_spline: Tensor, bounds: ActionBounds, *, std: float) -> None:
        self._bounds, self._nearest_spline, self._std = bounds, nearest_spline, std
        self._best, self._least = [last_plan[:, None]], last_plan.new_full((len(last_plan), 1), math.inf)

    def ask(self, noise: Tensor) -> Tensor:
        nominal = self._nearest_spline @ self._bounds.to_unit(self._best[-1])
        return self._bounds.from_unit(nominal + self._std * noise)

    def tell(self, candidates: Tensor, cost: Tensor, *, wanted: int) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        candidates, cost = torch.cat([self._best[-1], candidates], dim=1), torch.cat([self._least, cost], dim=1)
        best, self._least = cheapest(candidates, cost)
        self._best.append(best)
        return best, self._least

    def elites(self) -> Tensor:
        return torch.cat(self._best[1:], dim=1)


@lru_cache
def _projection(horizon: int, num_knots: int, order: int) -> Tensor:
    """Returns the matrix that takes a sequence to the nearest spline, `[horizon, horizon]`."""
    basis = spline_basis(num_knots, horizon, order=order)
    projection: Tensor = basis @ torch.linalg.pinv(basis)
    return projection
