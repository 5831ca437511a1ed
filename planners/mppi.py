"""Model predictive path integral control: move to the mean of all samples, weighted by what they cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from planners.candidates import admit, best_plan, pick
from planners.evaluator import Evaluator
from planners.gaussian import GaussianState, check_stds
from planners.noise import check_noise, temporal_noise
from planners.types import ActionBounds, Budget, Objective, Plan, is_whole
from planners.undisturbed import undisturbed


@dataclass(frozen=True, kw_only=True)
class MPPI:
    """Model predictive path integral control, iterated, with a Gaussian that narrows.

    Each iteration moves the mean to the average of the candidates with weights `softmax(-cost / temperature)`
    (Williams et al., "Information theoretic MPC for model-based reinforcement learning", 2017, algorithm 2). The mean
    is a candidate of every iteration, and the last one is priced at the end; the proposals and the last plan are the
    first candidates of the first.

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

    A warm start keeps mean, std and plan: what the last call was sure of stays narrow, though never narrower than
    `warm_std`. A budget takes iterations away from the end; one that it cuts short has the same share of elites.

    Attributes:
        num_samples: Candidates an iteration, proposals and last plan included.
        num_iterations: Iterations a call; one evaluation more prices the last mean.
        num_elites: Cheapest candidates that have a weight, in 2..num_samples, or None for all.
        temperature: Above 0. The average candidate weighs `exp(-1 / temperature)` of the cheapest: towards 0 only the
            cheapest counts, and a higher temperature averages more.
        init_std: Of a step about which nothing is known, and the most, in units of the box.
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
    num_elites: int | None
    temperature: float
    init_std: float
    warm_std: float
    min_std: float
    noise_exponent: float
    num_knots: int | None
    return_mean: bool

    def __post_init__(self) -> None:
        if self.num_samples < 2:
            raise ValueError(f"num_samples must be at least 2, got {self.num_samples}")
        if self.num_iterations < 1:
            raise ValueError(f"num_iterations must be at least 1, got {self.num_iterations}")
        if self.num_elites is not None and not (is_whole(self.num_elites) and 2 <= self.num_elites <= self.num_samples):
            raise ValueError(
                f"num_elites must be a whole number in 2..num_samples={self.num_samples}, or null, "
                f"got {self.num_elites!r}"
            )
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be above 0 and finite, got {self.temperature}")
        check_stds(min_std=self.min_std, warm_std=self.warm_std, init_std=self.init_std)
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
        bounds.require_continuous("MPPI")
        state.check(noise, len(proposals), num_iterations=self.num_iterations, num_samples=self.num_samples)
        batch_size, horizon, _ = state.mean.shape
        evaluator = Evaluator(objective, budget)
        start_mean, start_std, last_plan = state.to_actions(bounds, warm_std=self.warm_std)
        min_std, max_std = bounds.half_range * self.min_std, bounds.half_range * self.init_std
        given = [it[:, None] for it in admit(proposals, bounds=bounds, batch_size=batch_size, horizon=horizon)]
        given.append(last_plan)
        elites, elite_cost = given[0], last_plan.new_zeros(batch_size, 1)
        mean, std = start_mean, start_std
        finalists = []

        for white in noise.unbind(1):
            if not (size := evaluator.grant(self.num_samples, reserved=1)):
                break

            # Sample
            candidates = bounds.clip(torch.addcmul(mean, std, white[:, :size]))
            if given:
                candidates = torch.cat([*given, candidates], dim=1)[:, :size]

            # Price
            cost = evaluator.price(candidates).cost

            num_eligible = len(given) + 1 if self.return_mean else size
            finalists.append((candidates[:, :num_eligible], cost[:, :num_eligible]))

            # Weigh
            elites, elite_cost = candidates, cost
            if self.num_elites is not None:
                num_elites = max(1, self.num_elites * size // self.num_samples)
                elite_cost, index = torch.topk(cost, num_elites, dim=1, largest=False)  # [batch, num_elites]
                elites = pick(candidates, index)
            weights = softmin_weights(elite_cost, self.temperature)[:, None]  # [batch, 1, num_elites]

            # Move
            variance = (weights @ (elites - mean).square().flatten(2)).view_as(std)
            mean = (weights @ elites.flatten(2)).view_as(mean)
            std = torch.clamp(variance.sqrt(), min_std, max_std)
            given = []

        # The last evaluation is for the mean, unless it is the only one
        if evaluator.grant(1):
            last = bounds.clip(mean) if finalists else given[0]
            finalists.append((last, evaluator.price(last).cost))

        # The cheapest first; the first candidate stands in for those without a cost
        elite_cost, index = elite_cost.sort(dim=1)
        elites = pick(elites, index.masked_fill_(elite_cost == math.inf, 0))

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
    return torch.softmax(-excess / (temperature * mean_excess).clamp(limits.tiny, limits.max), dim=1)
