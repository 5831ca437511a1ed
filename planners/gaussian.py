"""Planners that search with a Gaussian: what they share, and what they remember from call to call."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from planners.noise import check_noise, temporal_noise
from planners.search import search
from planners.types import ActionBounds, Budget, Objective, Plan
from planners.undisturbed import undisturbed
from planners.warm_start import resize_steps, shift_steps


def check_stds(*, min_std: float, warm_std: float, init_std: float) -> None:
    """Raises `ValueError` if a planner's stds are not in order."""
    if not 0 < min_std <= warm_std <= init_std < math.inf:
        raise ValueError(
            f"stds must satisfy 0 < min_std <= warm_std <= init_std, "
            f"got min_std={min_std}, warm_std={warm_std}, init_std={init_std}"
        )


@dataclass(frozen=True)
class GaussianState:
    """Where the search stands, in units of the box.

    Attributes:
        mean: `[batch, horizon, action_dim]`, of the Gaussian.
        std: `[batch, horizon, action_dim]`, of the Gaussian.
        plan: `[batch, horizon, action_dim]`, the last plan, which the next call prices first.
        kept: `[batch, num_kept, horizon, action_dim]`, elites of the last call that the next prices again, if the
            planner keeps any; NaN at the steps that are unknown.
    """

    mean: Tensor
    std: Tensor
    plan: Tensor
    kept: Tensor

    @staticmethod
    def init(bounds: ActionBounds, *, batch_size: int, horizon: int, std: float, num_kept: int) -> "GaussianState":
        """Returns a Gaussian around the centre of the box, and unknown elites.

        Raises:
            ValueError: A batch or horizon below 1.
        """
        if batch_size < 1 or horizon < 1:
            raise ValueError(f"batch_size and horizon must be at least 1, got {batch_size} and {horizon}")
        center = bounds.low.new_zeros(batch_size, horizon, *bounds.low.shape)
        kept = center.new_full((batch_size, num_kept, horizon, *bounds.low.shape), math.nan)
        return GaussianState(mean=center, std=torch.full_like(center, std), plan=center, kept=kept)

    def to_actions(self, bounds: ActionBounds, *, warm_std: float) -> tuple[Tensor, Tensor, Tensor]:
        """Returns mean, std of at least `warm_std`, and plan in units of the actions.

        Returns:
            Each `[batch, 1, horizon, action_dim]`, as one more candidate; mean and plan inside the bounds.
        """
        mean_and_plan = bounds.from_unit(torch.stack([self.mean, self.plan], dim=1))
        std = (bounds.half_range * self.std.clamp(min=warm_std))[:, None]
        return mean_and_plan[:, :1], std, mean_and_plan[:, 1:]

    @staticmethod
    def from_actions(bounds: ActionBounds, *, mean: Tensor, std: Tensor, plan: Tensor, kept: Tensor) -> "GaussianState":
        """Returns the state of a Gaussian, a plan and elites in units of the actions; see `to_actions`."""
        mean, plan = bounds.to_unit(torch.cat([mean, plan], dim=1)).unbind(1)
        kept = bounds.to_unit(kept) if kept.shape[1] else kept
        return GaussianState(mean=mean, std=(std / bounds.half_range)[:, 0], plan=plan, kept=kept)

    def shift(self, num_steps: int, *, std: float) -> "GaussianState":
        """Moves the Gaussian, the plan and the elites on; the new steps at the end are those of `init`."""
        return GaussianState(
            mean=shift_steps(self.mean, num_steps, fill=0.0),
            std=shift_steps(self.std, num_steps, fill=std),
            plan=shift_steps(self.plan, num_steps, fill=0.0),
            kept=shift_steps(self.kept, num_steps, fill=math.nan),
        )

    def resize(self, horizon: int, *, std: float) -> "GaussianState":
        """Cuts the Gaussian, the plan and the elites, or extends them by steps of `init`."""
        return GaussianState(
            mean=resize_steps(self.mean, horizon, fill=0.0),
            std=resize_steps(self.std, horizon, fill=std),
            plan=resize_steps(self.plan, horizon, fill=0.0),
            kept=resize_steps(self.kept, horizon, fill=math.nan),
        )


class GaussianSearch(ABC):
    """A Gaussian that a call moves: a `Strategy`, but for how it is moved.

    Args:
        state: Where it starts.
        bounds: Of the actions.
        warm_std: Least std at the start, in units of the box.
        min_std: Least std after that, in units of the box.
    """

    def __init__(self, state: GaussianState, bounds: ActionBounds, *, warm_std: float, min_std: float) -> None:
        self._bounds = bounds
        self._mean, self._std, last_plan = state.to_actions(bounds, warm_std=warm_std)  # [batch, 1, horizon, dim] each
        self._start = self._mean, self._std
        self._min_std = bounds.half_range * min_std
        self.last_plan = last_plan[:, 0]

    def ask(self, noise: Tensor) -> Tensor:
        """Returns the mean, since the first noise is 0, and samples around it."""
        return self._bounds.clip(torch.addcmul(self._mean, self._std, noise))

    @abstractmethod
    def tell(self, candidates: Tensor, cost: Tensor, *, wanted: int) -> tuple[Tensor, Tensor]:
        """Moves the Gaussian; see `Strategy.tell`."""

    @abstractmethod
    def elites(self) -> Tensor:
        """Returns what the search came down to."""

    def mean(self) -> Tensor:
        """Returns the mean, inside the bounds: `[batch, 1, horizon, action_dim]`."""
        return self._bounds.clip(self._mean)

    def state(self, plan: Plan) -> GaussianState:
        """Returns the state for the next call, that of the start where nothing was found."""
        found = plan.found[:, None, None, None]
        mean, std = (torch.where(found, *it) for it in zip((self._mean, self._std), self._start, strict=True))
        return GaussianState.from_actions(
            self._bounds, mean=mean, std=std, plan=plan.actions[:, None], kept=self._kept()
        )

    def _kept(self) -> Tensor:
        """Returns the elites for the next call, `[batch, num_kept, horizon, action_dim]`."""
        return self.last_plan[:, None][:, :0]


@dataclass(frozen=True, kw_only=True)
class GaussianPlanner(ABC):
    """What planners share that search with a diagonal Gaussian over the steps of a sequence.

    The mean is a candidate of every iteration; the proposals and the last plan are the first candidates of the first.

    A warm start keeps mean, std and plan: what the last call was sure of stays narrow, though never narrower than
    `warm_std`. A budget takes iterations away from the end; one that it cuts short has the same share of elites.

    Attributes:
        num_samples: Candidates an iteration, proposals and last plan included.
        num_iterations: Iterations a call.
        init_std: Of a step about which nothing is known, in units of the box.
        warm_std: Least std at the start of a call, in units of the box, in min_std..init_std.
        min_std: Least std within a call, in units of the box, above 0.
        noise_exponent: Of the noise's power spectrum, at least 0: 0 is white, 1 pink, 2 brown; see `temporal_noise`.
        num_knots: Knots of the spline that the noise is, or None for a free value at each step.
        return_mean: False: the plan is the cheapest candidate of all. True: it is the cheapest of the means, the
            proposals and the last plan, none of them a random draw.

    Raises:
        ValueError: A parameter is out of its range.
    """

    num_samples: int
    num_iterations: int
    init_std: float
    warm_std: float
    min_std: float
    noise_exponent: float
    num_knots: int | None
    return_mean: bool

    def __post_init__(self) -> None:
        if self.num_iterations < 1:
            raise ValueError(f"num_iterations must be at least 1, got {self.num_iterations}")
        check_stds(min_std=self.min_std, warm_std=self.warm_std, init_std=self.init_std)
        check_noise(self.noise_exponent, self.num_knots)

    @property
    def populations(self) -> list[int]:
        """Candidates of each iteration."""
        return [self.num_samples] * self.num_iterations

    def init(self, bounds: ActionBounds, *, batch_size: int, horizon: int) -> GaussianState:
        """Returns a Gaussian of `init_std` around the centre of the box."""
        bounds.require_continuous(type(self).__name__)
        return GaussianState.init(bounds, batch_size=batch_size, horizon=horizon, std=self.init_std, num_kept=0)

    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Draws `[batch, num_iterations, num_samples, horizon, action_dim]`, with 0 for the first sample: the mean.

        An iteration of fewer candidates takes its first samples.
        """
        shape = (self.num_iterations, self.num_samples, horizon, *bounds.low.shape)
        noise = temporal_noise(
            generators, shape, like=bounds.low, exponent=self.noise_exponent, num_knots=self.num_knots
        )
        noise[:, :, 0] = 0
        return noise

    @undisturbed
    def plan(
        self,
        objective: Objective,
        state: GaussianState,
        *,
        noise: Tensor,
        bounds: ActionBounds,
        budget: Budget,
        proposals: Sequence[Tensor] = (),
    ) -> tuple[Plan, GaussianState]:
        """Minimises the objective from where `state` stands; see `Planner.plan`."""
        gaussian = self._begin(state, bounds)
        plan = search(
            gaussian,
            objective,
            noise=noise,
            bounds=bounds,
            budget=budget,
            proposals=proposals,
            last_plan=gaussian.last_plan,
            populations=self.populations,
            mean=gaussian.mean if self._prices_mean() else None,
            only_means=self.return_mean,
        )
        return plan, gaussian.state(plan)

    def shift(self, state: GaussianState, num_steps: int) -> GaussianState:
        """Moves the state on; the new steps at the end are those of `init`."""
        return state.shift(num_steps, std=self.init_std)

    def resize(self, state: GaussianState, horizon: int) -> GaussianState:
        """Cuts the state, or extends it by steps of `init`."""
        return state.resize(horizon, std=self.init_std)

    @abstractmethod
    def _begin(self, state: GaussianState, bounds: ActionBounds) -> GaussianSearch:
        """Returns the strategy of one call."""

    def _prices_mean(self) -> bool:
        """Returns whether the last mean is priced too, for one evaluation more."""
        return True
