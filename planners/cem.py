"""The cross-entropy method: fit a Gaussian to the best of its own samples, again and again."""

from dataclasses import dataclass

import torch
from torch import Tensor

from planners.candidates import select, share_of
from planners.gaussian import GaussianPlanner, GaussianSearch, GaussianState
from planners.types import ActionBounds


@dataclass(frozen=True, kw_only=True)
class CEM(GaussianPlanner):
    """The cross-entropy method with a diagonal Gaussian over the steps of a sequence; see `GaussianPlanner`.

    Each iteration prices `num_samples` candidates and moves the Gaussian to the mean and std of the `num_elites`
    cheapest (de Boer, Kroese, Mannor and Rubinstein, "A tutorial on the cross-entropy method", 2005). Only where
    the plan is a mean, the final one is priced, for one evaluation more.

    Attributes:
        num_elites: Cheapest candidates that the Gaussian is fitted to, in 2..num_samples.
        momentum: Share of the old mean and std that an iteration keeps, in [0, 1).

    Raises:
        ValueError: A parameter is out of its range.
    """

    num_elites: int
    momentum: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.num_elites <= self.num_samples:
            raise ValueError(f"num_elites must be in 2..num_samples={self.num_samples}, got {self.num_elites}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")

    def _begin(self, state: GaussianState, bounds: ActionBounds) -> "_Fit":
        return _Fit(self, state, bounds)

    def _prices_mean(self) -> bool:
        return self.return_mean


class _Fit(GaussianSearch):
    """A Gaussian that is fitted to the elites."""

    def __init__(self, cem: CEM, state: GaussianState, bounds: ActionBounds) -> None:
        super().__init__(state, bounds, warm_std=cem.warm_std, min_std=cem.min_std)
        self._cem = cem

    def tell(self, candidates: Tensor, cost: Tensor, *, wanted: int) -> tuple[Tensor, Tensor]:
        num_elites = share_of(self._cem.num_elites, candidates, wanted=wanted)
        self._elites, elite_cost, _ = select(candidates, cost, num_elites)
        std, mean = torch.std_mean(self._elites, dim=1, correction=0, keepdim=True)
        self._mean = torch.lerp(self._mean, mean, 1 - self._cem.momentum)
        self._std = torch.maximum(torch.lerp(self._std, std, 1 - self._cem.momentum), self._min_std)
        return self._elites[:, :1], elite_cost[:, :1]

    def elites(self) -> Tensor:
        return self._elites
