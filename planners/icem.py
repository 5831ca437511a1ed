"""The improved cross-entropy method: the same elites, from fewer samples."""

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
from planners.warm_start import resize_steps, shift_steps


@dataclass(frozen=True)
class ICEMState:
    """Where the search stands, in units of the box.

    Attributes:
        gaussian: That the samples come from, and the last plan.
        elites: `[batch, num_kept, horizon, action_dim]`, of the last call, which the next prices again; NaN at the
            steps that are unknown, which the next call samples.
    """

    gaussian: GaussianState
    elites: Tensor


@dataclass(frozen=True, kw_only=True)
class ICEM:
    """The improved cross-entropy method with a diagonal Gaussian over the steps of a sequence.

    What it adds to the cross-entropy method: noise that is correlated in time; a population that shrinks as the search
    narrows; elites that are kept from iteration to iteration, and shifted from call to call (Pinneri et al.,
    "Sample-efficient cross-entropy method for real-time planning", 2020). A kept elite is not priced again within a
    call, since its cost is known; in the next call, where the objective is another, it is.

    Two things are not as in the paper. The std of the elites is taken around the mean that they were drawn around, not
    around their own: while the mean still moves, the Gaussian stays wide in that direction, and the search does not end
    before its time (Hansen, "The CMA evolution strategy: a tutorial", 2016, section 3.1). The mean is a candidate of
    every iteration, not only of the last, since a budget may end the search after any; and the last one is priced.

    The proposals, the last plan, the mean and the shifted elites are the first candidates of the first iteration, in
    that order. A warm start keeps what the last call was sure of narrow, though never narrower than `warm_std`.

    Attributes:
        num_samples: Candidates of the first iteration, proposals, last plan and shifted elites included.
        num_iterations: Iterations a call; one evaluation more prices the last mean.
        population_decay: By how much each iteration has fewer candidates than the one before, a factor of at least 1
            (gamma in the paper); there are never fewer than `2 * num_elites`.
        num_elites: Cheapest candidates that the Gaussian is fitted to, at least 2 and at most half of num_samples.
        num_kept: Elites that are kept for the next iteration and the next call, in 0..num_elites.
        init_std: Of a step about which nothing is known, in units of the box.
        warm_std: Least std at the start of a call, in units of the box, in min_std..init_std.
        min_std: Least std within a call, in units of the box, above 0.
        momentum: Share of the old mean and std that an iteration keeps, in [0, 1).
        noise_exponent: Of the noise's power spectrum, at least 0: 0 is white, 1 pink, 2 brown (beta in the paper); see
            `temporal_noise`.
        num_knots: Knots of the spline that the noise is, or None for a free value at each step.
        return_mean: False: the plan is the cheapest candidate of all. True: it is the cheapest of the means, the
            proposals and the last plan, none of them a random draw.

    Raises:
        ValueError: A parameter is out of its range.
    """

    num_samples: int
    num_iterations: int
    population_decay: float
    num_elites: int
    num_kept: int
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
        if not 1 <= self.population_decay < math.inf:
            raise ValueError(f"population_decay must be at least 1 and finite, got {self.population_decay}")
        if not 4 <= 2 * self.num_elites <= self.num_samples:
            raise ValueError(
                f"num_elites must be at least 2 and at most half of num_samples={self.num_samples}, "
                f"got {self.num_elites}"
            )
        if not 0 <= self.num_kept <= self.num_elites:
            raise ValueError(f"num_kept must be in 0..num_elites={self.num_elites}, got {self.num_kept}")
        check_stds(min_std=self.min_std, warm_std=self.warm_std, init_std=self.init_std)
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        check_noise(self.noise_exponent, self.num_knots)

    @property
    def populations(self) -> list[int]:
        """Candidates of each iteration."""
        least = 2 * self.num_elites
        return [
            max(int(self.num_samples * self.population_decay**-iteration), least)
            for iteration in range(self.num_iterations)
        ]

    def init(self, bounds: ActionBounds, *, batch_size: int, horizon: int) -> ICEMState:
        """Returns a Gaussian of `init_std` around the centre of the box, and unknown elites."""
        gaussian = GaussianState.init(bounds, batch_size=batch_size, horizon=horizon, std=self.init_std)
        elites = gaussian.mean.new_full((batch_size, self.num_kept, horizon, *bounds.low.shape), math.nan)
        return ICEMState(gaussian=gaussian, elites=elites)

    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Draws `[batch, num_iterations, num_samples, horizon, action_dim]`, with 0 for the first sample: the mean.

        A shrunken population takes the first samples of its iteration.
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
        state: ICEMState,
        *,
        noise: Tensor,
        bounds: ActionBounds,
        budget: Budget,
        proposals: Sequence[Tensor] = (),
    ) -> tuple[Plan, ICEMState]:
        """Minimises the objective from where `state` stands; see `Planner.plan`."""
        bounds.require_continuous("ICEM")
        state.gaussian.check(noise, len(proposals), num_iterations=self.num_iterations, num_samples=self.num_samples)
        batch_size, horizon, _ = state.gaussian.mean.shape
        evaluator = Evaluator(objective, budget)
        start_mean, start_std, last_plan = state.gaussian.to_actions(bounds, warm_std=self.warm_std)
        min_std = bounds.half_range * self.min_std
        given = [it[:, None] for it in admit(proposals, bounds=bounds, batch_size=batch_size, horizon=horizon)]
        given.append(last_plan)
        elites = given[0]
        carried = torch.addcmul(bounds.center, bounds.half_range, state.elites)  # NaN where unknown
        kept = last_plan.expand(-1, self.num_kept, -1, -1)  # none in this call yet: never cheapest
        kept_cost = kept.new_full(kept.shape[:2], math.inf)
        mean, std = start_mean, start_std
        finalists = []

        for population, white in zip(self.populations, noise.unbind(1), strict=True):
            if not (size := evaluator.grant(population, reserved=1)):
                break

            # Sample
            candidates = torch.addcmul(mean, std, white[:, :population])
            if given:
                drawn = candidates[:, 1 : 1 + self.num_kept]
                drawn.copy_(torch.where(carried.isnan(), drawn, carried))
                candidates = torch.cat([*given, candidates], dim=1)
            candidates = bounds.clip(candidates[:, :size])

            # Price
            cost = evaluator.price(candidates).cost

            # Select, the cheapest first; the first candidate stands in for those without a cost
            num_elites = max(1, self.num_elites * size // population)
            best_cost, index = torch.topk(
                torch.cat([cost, kept_cost], dim=1), max(num_elites, self.num_kept), dim=1, largest=False
            )
            best = pick(torch.cat([candidates, kept], dim=1), index.masked_fill_(best_cost == math.inf, 0))
            elites = best[:, :num_elites]
            kept, kept_cost = best[:, : self.num_kept], best_cost[:, : self.num_kept]

            # Fit
            elite_std = (elites - mean).square().mean(dim=1, keepdim=True).sqrt()
            mean = torch.lerp(mean, elites.mean(dim=1, keepdim=True), 1 - self.momentum)
            std = torch.maximum(torch.lerp(std, elite_std, 1 - self.momentum), min_std)

            # Remember
            if self.return_mean:
                num_eligible = len(given) + 1
                finalists.append((candidates[:, :num_eligible], cost[:, :num_eligible]))
            else:
                finalists.append((best[:, :1], best_cost[:, :1]))
            given = []

        # The last evaluation is for the mean, unless it is the only one
        if evaluator.grant(1):
            last = bounds.clip(mean) if finalists else given[0]
            finalists.append((last, evaluator.price(last).cost))

        plan = best_plan(finalists, elites=elites, fallback=last_plan[:, 0], num_evaluations=evaluator.num_evaluations)
        moved = plan.found[:, None, None, None]
        gaussian = GaussianState.from_actions(
            bounds,
            mean=torch.where(moved, mean, start_mean),
            std=torch.where(moved, std, start_std),
            plan=plan.actions[:, None],
        )
        unknown = (kept_cost == math.inf)[:, :, None, None]
        return plan, ICEMState(gaussian=gaussian, elites=bounds.to_unit(kept).masked_fill(unknown, math.nan))

    def shift(self, state: ICEMState, num_steps: int) -> ICEMState:
        """Moves Gaussian, plan and elites on; the new steps at the end are those of `init`."""
        elites = shift_steps(state.elites.flatten(0, 1), num_steps, fill=math.nan)
        gaussian = state.gaussian.shift(num_steps, std=self.init_std)
        return ICEMState(gaussian=gaussian, elites=elites.view_as(state.elites))

    def resize(self, state: ICEMState, horizon: int) -> ICEMState:
        """Cuts Gaussian, plan and elites, or extends them by steps of `init`."""
        batch_size, num_kept, _, action_dim = state.elites.shape
        elites = resize_steps(state.elites.flatten(0, 1), horizon, fill=math.nan)
        gaussian = state.gaussian.resize(horizon, std=self.init_std)
        return ICEMState(gaussian=gaussian, elites=elites.view(batch_size, num_kept, horizon, action_dim))
