"""The cross-entropy method: fit a Gaussian to the best of its own samples, again and again."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from planners.candidates import admit, best_plan, pick
from planners.evaluator import Evaluator
from planners.gaussian import GaussianState, check_stds
from planners.noise import check_noise, temporal_noise
from planners.types import ActionBounds, Budget, Objective, Plan
from planners.undisturbed import undisturbed


@dataclass(frozen=True, kw_only=True)
class CEM:
    """The cross-entropy method with a diagonal Gaussian over the steps of a sequence.

    Each iteration prices `num_samples` candidates and moves the Gaussian to the mean and std of the `num_elites`
    cheapest (de Boer, Kroese, Mannor and Rubinstein, "A tutorial on the cross-entropy method", 2005). The mean is a
    candidate of every iteration; the proposals and the last plan are the first candidates of the first.

    A warm start keeps mean, std and plan: what the last call was sure of stays narrow, though never narrower than
    `warm_std`. A budget takes iterations away from the end; one that it cuts short has the same share of elites.

    Attributes:
        num_samples: Candidates an iteration, proposals and last plan included.
        num_iterations: Iterations a call.
        num_elites: Cheapest candidates that the Gaussian is fitted to, in 2..num_samples.
        init_std: Of a step about which nothing is known, in units of the box.
        warm_std: Least std at the start of a call, in units of the box, in min_std..init_std.
        min_std: Least std within a call, in units of the box, above 0.
        momentum: Share of the old mean and std that an iteration keeps, in [0, 1).
        noise_exponent: Of the noise's power spectrum, at least 0: 0 is white, 1 pink, 2 brown; see `temporal_noise`.
        num_knots: Knots of the spline that the noise is, or None for a free value at each step.
        return_mean: False: the plan is the cheapest candidate of all. True: it is the cheapest of the means, the
            proposals and the last plan, none of them a random draw; the final mean is one evaluation more.

    Raises:
        ValueError: A parameter is out of its range.
    """

    num_samples: int
    num_iterations: int
    num_elites: int
    init_std: float
    warm_std: float
    min_std: float
    momentum: float
    noise_exponent: float
    num_knots: int | None
    return_mean: bool

    def __post_init__(self) -> None:
        if self.num_iterations < 1:
            raise ValueError(f"num_iterations must be at least 1, got {self.num_iterations}")
        if not 2 <= self.num_elites <= self.num_samples:
            raise ValueError(f"num_elites must be in 2..num_samples={self.num_samples}, got {self.num_elites}")
        check_stds(min_std=self.min_std, warm_std=self.warm_std, init_std=self.init_std)
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        check_noise(self.noise_exponent, self.num_knots)

    def init(self, bounds: ActionBounds, *, batch_size: int, horizon: int) -> GaussianState:
        """Returns a Gaussian of `init_std` around the centre of the box."""
        return GaussianState.init(bounds, batch_size=batch_size, horizon=horizon, std=self.init_std)

    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Draws `[batch, num_iterations, num_samples, horizon, action_dim]`, with 0 for the first sample: the mean."""
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
        bounds.require_continuous("CEM")
        state.check(noise, len(proposals), num_iterations=self.num_iterations, num_samples=self.num_samples)
        batch_size, horizon, _ = state.mean.shape
        evaluator = Evaluator(objective, budget)
        start_mean, start_std, last_plan = state.to_actions(bounds, warm_std=self.warm_std)
        min_std = bounds.half_range * self.min_std
        given = [it[:, None] for it in admit(proposals, bounds=bounds, batch_size=batch_size, horizon=horizon)]
        given.append(last_plan)
        mean, std, elites = start_mean, start_std, given[0]
        finalists = []

        for white in noise.unbind(1):
            if not (size := evaluator.grant(self.num_samples, reserved=int(self.return_mean))):
                break

            # Sample
            candidates = bounds.clip(torch.addcmul(mean, std, white[:, :size]))
            if given:
                candidates = torch.cat([*given, candidates], dim=1)[:, :size]

            # Price
            cost = evaluator.price(candidates).cost

            # Select, the cheapest first; the first candidate stands in for those without a cost
            num_elites = max(1, self.num_elites * size // self.num_samples)
            elite_cost, index = torch.topk(cost, num_elites, dim=1, largest=False)  # [batch, num_elites]
            elites = pick(candidates, index.masked_fill_(elite_cost == math.inf, 0))

            # Fit
            elite_std, elite_mean = torch.std_mean(elites, dim=1, correction=0, keepdim=True)
            mean = torch.lerp(mean, elite_mean, 1 - self.momentum)
            std = torch.maximum(torch.lerp(std, elite_std, 1 - self.momentum), min_std)

            # Remember
            if self.return_mean:
                num_eligible = len(given) + 1
                finalists.append((candidates[:, :num_eligible], cost[:, :num_eligible]))
            else:
                finalists.append((elites[:, :1], elite_cost[:, :1]))
            given = []

        if self.return_mean:
            last = bounds.clip(mean) if finalists else given[0]
            finalists.append((last, evaluator.price(last).cost))

        plan = best_plan(finalists, elites=elites, fallback=last_plan[:, 0], num_evaluations=evaluator.num_evaluations)
        moved = plan.found[:, None, None, None]
        return plan, GaussianState.from_actions(
            bounds,
            mean=torch.where(moved, mean, start_mean),
            std=torch.where(moved, std, start_std),
            plan=plan.actions[:, None],
        )

    def shift(self, state: GaussianState, num_steps: int) -> GaussianState:
        """Moves the Gaussian and the plan on; the new steps at the end are those of `init`."""
        return state.shift(num_steps, std=self.init_std)

    def resize(self, state: GaussianState, horizon: int) -> GaussianState:
        """Cuts the Gaussian and the plan, or extends them by steps of `init`."""
        return state.resize(horizon, std=self.init_std)
