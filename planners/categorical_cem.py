"""The cross-entropy method over discrete actions: fit probabilities to the best of their own samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn.functional import one_hot

from planners.candidates import select, share_of
from planners.choices import check_levels, enumerate_choices
from planners.noise import white_noise
from planners.plan_state import PlanState
from planners.search import search
from planners.types import ActionBounds, Budget, Objective, Plan
from planners.undisturbed import undisturbed
from planners.warm_start import resize_steps, shift_steps


@dataclass(frozen=True)
class CategoricalState:
    """Where the search stands.

    Attributes:
        probabilities: `[batch, horizon, num_choices]`, of each choice at each step; they sum to 1.
        last: The last plan, which the next call prices first.
    """

    probabilities: Tensor
    last: PlanState


@dataclass(frozen=True, kw_only=True)
class CategoricalCEM:
    """The cross-entropy method with an independent categorical distribution for each step of a sequence.

    Each iteration prices `num_samples` candidates and moves the probabilities to how often the `num_elites` cheapest
    take each choice (de Boer, Kroese, Mannor and Rubinstein, "A tutorial on the cross-entropy method", 2005, section
    3, with smoothed updating). The sequence of the likeliest choices is a candidate of every iteration; the proposals
    and the last plan are the first candidates of the first.

    The choices are those of the bounds or, in a box, a grid of it; there proposals and last plan are candidates as they
    are, and count as their nearest choices. A share of the samples' distribution is uniform: with `num_choices` choices
    none is ever less likely than `min_exploration / num_choices`. A warm start keeps probabilities and plan, and its
    first iteration has the uniform share `warm_exploration`. A budget takes iterations away from the end; one that it
    cuts short has the same share of elites.

    Attributes:
        num_levels: Levels of the grid in each dimension of a box, at least 2; without effect on given choices.
        num_samples: Candidates an iteration, proposals and last plan included.
        num_iterations: Iterations a call.
        num_elites: Cheapest candidates that the probabilities are fitted to, in 2..num_samples.
        warm_exploration: Uniform share of the first iteration's samples, in min_exploration..1.
        min_exploration: Uniform share of the samples of all others, above 0.
        momentum: Share of the old probabilities that an iteration keeps, in [0, 1).

    Raises:
        ValueError: A parameter is out of its range.
    """

    num_levels: int
    num_samples: int
    num_iterations: int
    num_elites: int
    warm_exploration: float
    min_exploration: float
    momentum: float

    def __post_init__(self) -> None:
        check_levels(self.num_levels)
        if self.num_iterations < 1:
            raise ValueError(f"num_iterations must be at least 1, got {self.num_iterations}")
        if not 2 <= self.num_elites <= self.num_samples:
            raise ValueError(f"num_elites must be in 2..num_samples={self.num_samples}, got {self.num_elites}")
        if not 0 < self.min_exploration <= self.warm_exploration <= 1:
            raise ValueError(
                f"explorations must satisfy 0 < min_exploration <= warm_exploration <= 1, "
                f"got min_exploration={self.min_exploration}, warm_exploration={self.warm_exploration}"
            )
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")

    def init(self, bounds: ActionBounds, *, batch_size: int, horizon: int) -> CategoricalState:
        """Returns equal probabilities of all choices."""
        last = PlanState.init(bounds, batch_size=batch_size, horizon=horizon)
        num_choices = len(enumerate_choices(bounds, num_levels=self.num_levels))
        return CategoricalState(bounds.low.new_full((batch_size, horizon, num_choices), 1 / num_choices), last)

    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Draws `[batch, num_iterations, num_samples, horizon]`, each number uniform in [0, 1]."""
        shape = (self.num_iterations, self.num_samples, horizon)
        uniform: Tensor = torch.special.ndtr(white_noise(generators, shape, like=bounds.low))
        return uniform

    @undisturbed
    def plan(
        self,
        objective: Objective,
        state: CategoricalState,
        *,
        noise: Tensor,
        bounds: ActionBounds,
        budget: Budget,
        proposals: Sequence[Tensor] = (),
    ) -> tuple[Plan, CategoricalState]:
        """Minimises the objective from where `state` stands; see `Planner.plan`."""
        choices = enumerate_choices(bounds, num_levels=self.num_levels)
        last_plan = bounds.from_unit(state.last.plan)
        strategy = _Fit(self, state.probabilities, choices, bounds)
        plan = search(
            strategy,
            objective,
            noise=noise,
            bounds=bounds,
            budget=budget,
            proposals=proposals,
            last_plan=last_plan,
            populations=[self.num_samples] * self.num_iterations,
        )
        return plan, CategoricalState(strategy.probabilities, PlanState(plan=bounds.to_unit(plan.actions)))

    def shift(self, state: CategoricalState, num_steps: int) -> CategoricalState:
        """Moves probabilities and plan on; the new steps at the end are those of `init`."""
        uniform = 1 / state.probabilities.shape[2]
        return CategoricalState(shift_steps(state.probabilities, num_steps, fill=uniform), state.last.shift(num_steps))

    def resize(self, state: CategoricalState, horizon: int) -> CategoricalState:
        """Cuts probabilities and plan, or extends them by steps of `init`."""
        uniform = 1 / state.probabilities.shape[2]
        return CategoricalState(resize_steps(state.probabilities, horizon, fill=uniform), state.last.resize(horizon))


class _Fit:
    """Probabilities that are fitted to the elites."""

    def __init__(self, cem: CategoricalCEM, probabilities: Tensor, choices: Tensor, bounds: ActionBounds) -> None:
        self.probabilities = probabilities
        self._cem, self._choices, self._bounds = cem, choices, bounds
        self._exploration = cem.warm_exploration
        self._chosen = probabilities.new_zeros((), dtype=torch.long)

    def ask(self, noise: Tensor) -> Tensor:
        """Returns the likeliest sequence, and samples."""
        likeliest = self.probabilities.argmax(dim=2)[:, None]
        sampled = _sample(_explore(self.probabilities, self._exploration), noise[:, :-1])
        self._chosen = torch.cat([likeliest, sampled], dim=1)[:, : noise.shape[1]]
        return self._bounds.clip(self._choices[self._chosen])

    def tell(self, candidates: Tensor, cost: Tensor, *, wanted: int) -> tuple[Tensor, Tensor]:
        """Fits, except where nothing is priced."""
        num_given = candidates.shape[1] - self._chosen.shape[1]
        given = torch.cdist(candidates[:, :num_given], self._choices.expand(len(candidates), num_given, -1, -1))
        chosen = torch.cat([given.argmin(dim=3), self._chosen], dim=1)
        num_elites = share_of(self._cem.num_elites, candidates, wanted=wanted)
        self._elites, elite_cost, index = select(candidates, cost, num_elites)
        elite_choices = chosen.gather(1, index[:, :, None].expand(-1, -1, chosen.shape[2]))
        frequency = one_hot(elite_choices, len(self._choices)).to(self.probabilities).mean(dim=1)
        step = (1 - self._cem.momentum) * (elite_cost[:, :1, None] < math.inf).to(self.probabilities)
        self.probabilities = torch.lerp(self.probabilities, frequency, step)
        self._exploration = self._cem.min_exploration
        return self._elites[:, :1], elite_cost[:, :1]

    def elites(self) -> Tensor:
        return self._elites


def _explore(probabilities: Tensor, share: float) -> Tensor:
    return (1 - share) * probabilities + share / probabilities.shape[2]


def _sample(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Returns which choice each number, `[batch, num_samples, horizon]`, falls on when they share out [0, 1]."""
    share_ends = probabilities.cumsum(dim=2)[:, :, :-1].contiguous()  # [batch, horizon, num_choices - 1]
    return torch.searchsorted(share_ends, uniform.mT.contiguous()).mT
