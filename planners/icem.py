"""The improved cross-entropy method: the same elites, from fewer samples."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from planners.candidates import select, share_of
from planners.gaussian import GaussianPlanner, GaussianSearch, GaussianState
from planners.types import ActionBounds


@dataclass(frozen=True, kw_only=True)
class ICEM(GaussianPlanner):
    """The improved cross-entropy method with a diagonal Gaussian over the steps of a sequence; see `GaussianPlanner`.

    What it adds to the cross-entropy method: noise that is correlated in time; a population that shrinks as the search
    narrows; elites that are kept from iteration to iteration, and shifted from call to call (Pinneri et al.,
    "Sample-efficient cross-entropy method for real-time planning", 2020). A kept elite is not priced again within a
    call, since its cost is known; in the next call, where the objective is another, it is.

    Two things are not as in the paper. The std of the elites is taken around the mean that they were drawn around, not
    around their own: while the mean still moves, the Gaussian stays wide in that direction, and the search does not end
    before its time (Hansen, "The CMA evolution strategy: a tutorial", 2016, section 3.1). The mean is a candidate of
    every iteration, not only of the last, since a budget may end the search after any; and the last one is priced.

    The shifted elites are candidates of the first iteration, after the mean.

    Attributes:
        population_decay: By how much each iteration has fewer candidates than the one before, a factor of at least 1
            (gamma in the paper); there are never fewer than `2 * num_elites`.
        num_elites: Cheapest candidates that the Gaussian is fitted to, at least 2 and at most half of num_samples.
        num_kept: Elites that are kept for the next iteration and the next call, in 0..num_elites.
        momentum: Share of the old mean and std that an iteration keeps, in [0, 1).

    Raises:
        ValueError: A parameter is out of its range.
    """

    population_decay: float
    num_elites: int
    num_kept: int
    momentum: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.population_decay < math.inf:
            raise ValueError(f"population_decay must be at least 1 and finite, got {self.population_decay}")
        if not 4 <= 2 * self.num_elites <= self.num_samples:
            raise ValueError(
                f"num_elites must be at least 2 and at most half of num_samples={self.num_samples}, "
                f"got {self.num_elites}"
            )
        if not 0 <= self.num_kept <= self.num_elites:
            raise ValueError(f"num_kept must be in 0..num_elites={self.num_elites}, got {self.num_kept}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")

    @property
    def populations(self) -> list[int]:
        """Candidates of each iteration."""
        least = 2 * self.num_elites
        return [
            max(int(self.num_samples * self.population_decay**-iteration), least)
            for iteration in range(self.num_iterations)
        ]

    def init(self, bounds: ActionBounds, *, batch_size: int, horizon: int) -> GaussianState:
        """Returns a Gaussian of `init_std` around the centre of the box, and unknown elites."""
        bounds.require_continuous(type(self).__name__)
        return GaussianState.init(
            bounds, batch_size=batch_size, horizon=horizon, std=self.init_std, num_kept=self.num_kept
        )

    def _begin(self, state: GaussianState, bounds: ActionBounds) -> "_Fit":
        return _Fit(self, state, bounds)


class _Fit(GaussianSearch):
    """A Gaussian that is fitted to the elites, some of which stay."""

    def __init__(self, icem: ICEM, state: GaussianState, bounds: ActionBounds) -> None:
        super().__init__(state, bounds, warm_std=icem.warm_std, min_std=icem.min_std)
        self._icem = icem
        self._carried: Tensor | None = torch.addcmul(bounds.center, bounds.half_range, state.kept)  # NaN where unknown
        self._best = self.last_plan[:, None].expand_as(state.kept)  # none in this call yet: never cheapest
        self._best_cost = self._best.new_full(self._best.shape[:2], math.inf)

    def ask(self, noise: Tensor) -> Tensor:
        candidates = torch.addcmul(self._mean, self._std, noise)
        if self._carried is not None:
            drawn = candidates[:, 1 : 1 + self._icem.num_kept]
            carried = self._carried[:, : drawn.shape[1]]
            drawn.copy_(torch.where(carried.isnan(), drawn, carried))
            self._carried = None
        return self._bounds.clip(candidates)

    def tell(self, candidates: Tensor, cost: Tensor, *, wanted: int) -> tuple[Tensor, Tensor]:
        num_kept = self._icem.num_kept
        num_elites = share_of(self._icem.num_elites, candidates, wanted=wanted)
        self._best, self._best_cost, _ = select(
            torch.cat([candidates, self._best[:, :num_kept]], dim=1),
            torch.cat([cost, self._best_cost[:, :num_kept]], dim=1),
            max(num_elites, num_kept),
        )
        self._elites = self._best[:, :num_elites]
        std = (self._elites - self._mean).square().mean(dim=1, keepdim=True).sqrt()
        mean = self._elites.mean(dim=1, keepdim=True)
        self._mean = torch.lerp(self._mean, mean, 1 - self._icem.momentum)
        self._std = torch.maximum(torch.lerp(self._std, std, 1 - self._icem.momentum), self._min_std)
        return self._best[:, :1], self._best_cost[:, :1]

    def elites(self) -> Tensor:
        return self._elites

    def _kept(self) -> Tensor:
        num_kept = self._icem.num_kept
        unknown = (self._best_cost[:, :num_kept] == math.inf)[:, :, None, None]
        return self._best[:, :num_kept].masked_fill(unknown, math.nan)
