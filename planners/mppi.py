"""Model predictive path integral control: move to the mean of all samples, weighted by what they cost."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from planners.candidates import cheapest, select, share_of
from planners.gaussian import GaussianPlanner, GaussianSearch, GaussianState
from planners.types import ActionBounds, is_whole


@dataclass(frozen=True, kw_only=True)
class MPPI(GaussianPlanner):
    """Model predictive path integral control, iterated, with a Gaussian that narrows; see `GaussianPlanner`.

    Each iteration moves the mean to the average of the candidates with weights `softmax(-cost / temperature)`
    (Williams et al., "Information theoretic MPC for model-based reinforcement learning", 2017, algorithm 2). The last
    mean is priced too, for one evaluation more.

    The temperature is in units of what the average candidate costs more than the cheapest, for each problem and
    iteration anew; see `softmin_weights`. One number then serves costs of any scale, and still serves when the search
    has come so near to the optimum that all candidates cost nearly the same.

    The std follows the weighted distance of the candidates from the mean that they were drawn around, between
    `min_std` and `init_std`: while the mean still moves, the Gaussian stays wide in that direction (Hansen, "The CMA
    evolution strategy: a tutorial", 2016, section 3.1). The paper keeps the std: `min_std = init_std` does so. With
    `num_elites` only the cheapest candidates have a weight (Hansen, Wang and Su, "Temporal difference learning for
    model predictive control", 2022).

    The paper's weights also have a control cost, `temperature * mean' std^-2 noise`, which draws the sequence towards
    zero. It is left out, as `alpha = 1` leaves it out in Williams et al., "Information-theoretic model predictive
    control: theory and applications to autonomous driving", 2018: what effort costs is said by the objective, and the
    optimum must depend neither on the temperature nor on the std.

    Attributes:
        num_elites: Cheapest candidates that have a weight, in 2..num_samples, or None for all.
        temperature: Above 0. The average candidate weighs `exp(-1 / temperature)` of the cheapest: towards 0 only the
            cheapest counts, and a higher temperature averages more.

    Raises:
        ValueError: A parameter is out of its range.
    """

    num_elites: int | None
    temperature: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_samples < 2:
            raise ValueError(f"num_samples must be at least 2, got {self.num_samples}")
        if self.num_elites is not None and not (is_whole(self.num_elites) and 2 <= self.num_elites <= self.num_samples):
            raise ValueError(
                f"num_elites must be a whole number in 2..num_samples={self.num_samples}, or null, "
                f"got {self.num_elites!r}"
            )
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be above 0 and finite, got {self.temperature}")

    def _begin(self, state: GaussianState, bounds: ActionBounds) -> "_Average":
        return _Average(self, state, bounds)


class _Average(GaussianSearch):
    """A Gaussian that moves to the weighted average of its samples."""

    def __init__(self, mppi: MPPI, state: GaussianState, bounds: ActionBounds) -> None:
        super().__init__(state, bounds, warm_std=mppi.warm_std, min_std=mppi.min_std)
        self._mppi = mppi
        self._max_std = bounds.half_range * mppi.init_std

    def tell(self, candidates: Tensor, cost: Tensor, *, wanted: int) -> tuple[Tensor, Tensor]:
        if self._mppi.num_elites is not None:
            num_elites = share_of(self._mppi.num_elites, candidates, wanted=wanted)
            candidates, cost, _ = select(candidates, cost, num_elites)
        self._weighed, self._cost = candidates, cost
        weights = softmin_weights(cost, self._mppi.temperature)[:, None]  # [batch, 1, num_weighed]
        variance = (weights @ (candidates - self._mean).square().flatten(2)).view_as(self._std)
        self._mean = (weights @ candidates.flatten(2)).view_as(self._mean)
        self._std = torch.clamp(variance.sqrt(), self._min_std, self._max_std)
        return cheapest(candidates, cost)

    def elites(self) -> Tensor:
        elites, *_ = select(self._weighed, self._cost, self._cost.shape[1])
        return elites


def softmin_weights(cost: Tensor, temperature: float) -> Tensor:
    """Returns `softmax(-cost / scale)`, where the scale is `temperature` times the mean of `cost - min(cost)`.

    The mean is over the finite costs of a problem, so that neither the unit of the cost nor its zero matters. Without
    any finite cost, all weights are equal.

    Args:
        cost: `[batch, num_samples]`, finite or +inf.
        temperature: Above 0; higher averages more.

    Returns:
        `[batch, num_samples]`; they sum to 1, and are 0 where the cost is +inf and another is finite.
    """
    excess = torch.nan_to_num(cost - cost.amin(dim=1, keepdim=True), nan=0.0, posinf=math.inf)  # inf - inf counts as 0
    priced = excess < math.inf
    num_priced = priced.sum(dim=1, keepdim=True)
    mean_excess = torch.where(priced, excess / num_priced, 0.0).sum(dim=1, keepdim=True)
    limits = torch.finfo(cost.dtype)
    return torch.softmax(excess / (-temperature * mean_excess).clamp(-limits.max, -limits.tiny), dim=1)
