"""The augmented Lagrangian: constraints for a planner that knows none."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from planners.candidates import pick
from planners.evaluator import Evaluator
from planners.types import ActionBounds, Budget, Objective, Plan, Planner, Score, TrajectoryObjective


@dataclass(frozen=True)
class AugmentedLagrangianState:
    """Where the search stands.

    Attributes:
        inner: Of the planner inside.
        multipliers: `[batch, num_constraints]`, at least 0, what a unit of each violation is worth in cost;
            `[batch, 1]` of zeros as long as it is unknown how many constraints there are.
        horizon: Planned steps.
    """

    inner: Any
    multipliers: Tensor
    horizon: int


@dataclass(frozen=True, kw_only=True)
class AugmentedLagrangian:
    """Turns violations into cost, so that any planner keeps constraints; with none it is the planner inside.

    A round is a call of the planner inside on `cost + sum(max(0, m + p * violation)^2 - m^2) / 2p`, from where the
    round before ended; then the multipliers become `max(0, m + p * violation)` with the violation of the round's plan,
    and the penalty `p` grows (Powell 1969, Hestenes 1969 and Rockafellar 1973; Nocedal and Wright, "Numerical
    optimization", 2006, section 17.3 and algorithm 17.4, with the slack variables eliminated).

    The finalists of a round, its plan and its best elites, are priced once more, without the penalty. The plan is the
    cheapest finalist of all rounds that keeps all constraints, or else the one that violates them least; its cost is
    the objective's own. Multipliers are kept from call to call, the penalty is not.

    A budget is shared equally between the rounds, finalists included; a small one has fewer rounds, and one of a single
    evaluation is spent on the cost alone. An objective without constraints is left to the planner inside, in one round.

    Attributes:
        planner: Minimises the cost of a round.
        num_rounds: Calls of the planner inside, at least 1.
        num_finalists: Of a round, at least 1.
        init_penalty: Of the first round, cost per half a squared violation, above 0.
        penalty_growth: Factor from round to round, at least 1.
        tolerance: Largest violation of a plan that counts as keeping a constraint, at least 0.

    Raises:
        ValueError: A parameter is out of its range.
    """

    planner: Planner[Any]
    num_rounds: int
    num_finalists: int
    init_penalty: float
    penalty_growth: float
    tolerance: float

    def __post_init__(self) -> None:
        if self.num_rounds < 1:
            raise ValueError(f"num_rounds must be at least 1, got {self.num_rounds}")
        if self.num_finalists < 1:
            raise ValueError(f"num_finalists must be at least 1, got {self.num_finalists}")
        if not 0 < self.init_penalty < math.inf:
            raise ValueError(f"init_penalty must be above 0 and finite, got {self.init_penalty}")
        if not 1 <= self.penalty_growth < math.inf:
            raise ValueError(f"penalty_growth must be at least 1 and finite, got {self.penalty_growth}")
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"tolerance must be at least 0 and finite, got {self.tolerance}")

    def init(self, bounds: ActionBounds, *, batch_size: int, horizon: int) -> AugmentedLagrangianState:
        """Returns the planner's own beginning, with multipliers of 0."""
        inner = self.planner.init(bounds, batch_size=batch_size, horizon=horizon)
        return AugmentedLagrangianState(inner, bounds.low.new_zeros(batch_size, 1), horizon)

    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Draws the noise of each round, the planner's own, `[batch, num_rounds, ...]`."""
        rounds = range(self.num_rounds)
        return torch.stack(
            [self.planner.sample_noise(generators, bounds=bounds, horizon=horizon) for _ in rounds], dim=1
        )

    @torch.no_grad()
    def plan(
        self,
        objective: Objective,
        state: AugmentedLagrangianState,
        *,
        noise: Tensor,
        bounds: ActionBounds,
        budget: Budget,
        proposals: Sequence[Tensor] = (),
    ) -> tuple[Plan, AugmentedLagrangianState]:
        """Minimises the objective under its constraints from where `state` stands; see `Planner.plan`."""
        if noise.ndim < 2 or noise.shape[1] != self.num_rounds:
            raise ValueError(
                f"noise must be [batch, num_rounds, ...] = [batch, {self.num_rounds}, ...], got {[*noise.shape]}"
            )
        if state.multipliers.shape[1] == 0 or budget.num_evaluations == 1:
            plan, inner = self.planner.plan(
                objective, state.inner, noise=noise[:, 0], bounds=bounds, budget=budget, proposals=proposals
            )
            return plan, replace(state, inner=inner)

        evaluator = Evaluator(objective, budget)
        shares = _Shares(budget, self.num_rounds, self.num_finalists)
        inner, multipliers, penalty = state.inner, state.multipliers, self.init_penalty
        finalists, scores = [], []

        for index in range(shares.num_rounds):
            # Minimise
            share, num_finalists = shares.of_round(index, evaluator.num_evaluations)
            lagrangian = augment(objective, multipliers, penalty)
            plan, inner = self.planner.plan(
                lagrangian, inner, noise=noise[:, index], bounds=bounds, budget=share, proposals=proposals
            )
            if lagrangian.num_constraints == 0:
                return plan, replace(state, inner=inner, multipliers=multipliers[:, :0])
            evaluator.charge(plan.num_evaluations)

            # Price without penalty
            finalists.append(torch.cat([plan.actions[:, None], plan.elites], dim=1)[:, :num_finalists])
            scores.append(evaluator.price(finalists[-1]))

            # Raise the price of what the plan violates
            raised = (multipliers + penalty * scores[-1].violations[:, 0]).clamp(min=0.0)
            multipliers = torch.where(torch.isfinite(raised), raised, multipliers)
            penalty *= self.penalty_growth
            if shares.is_over():
                break

        chosen = self._choose(finalists, scores, elites=plan.elites, num_evaluations=evaluator.num_evaluations)
        return chosen, replace(state, inner=inner, multipliers=multipliers)

    def shift(self, state: AugmentedLagrangianState, num_steps: int) -> AugmentedLagrangianState:
        """Moves the planner's state on; the multipliers stay, unless all of the horizon is new."""
        kept = float(num_steps < state.horizon)
        return replace(state, inner=self.planner.shift(state.inner, num_steps), multipliers=kept * state.multipliers)

    def resize(self, state: AugmentedLagrangianState, horizon: int) -> AugmentedLagrangianState:
        """Cuts the planner's state, or extends it; the multipliers stay."""
        return replace(state, inner=self.planner.resize(state.inner, horizon), horizon=horizon)

    def _choose(
        self, finalists: Sequence[Tensor], scores: Sequence[Score], *, elites: Tensor, num_evaluations: int
    ) -> Plan:
        """Returns the best of the finalists.

        Args:
            finalists: Of each round, `[batch, num_finalists, horizon, action_dim]`.
            scores: Of the finalists.
            elites: Of the last round.
            num_evaluations: Spent on each problem.
        """
        kept = [
            torch.where((score.violations <= self.tolerance).all(dim=2), score.cost, math.inf) for score in scores
        ]  # [batch, num_finalists] each
        best_kept = torch.stack([cost.min(dim=1).values for cost in kept]).cummin(dim=0).values
        cost = torch.cat([score.cost for score in scores], dim=1)
        excess = torch.cat([score.violations.clamp(min=0.0).sum(dim=2) for score in scores], dim=1)
        excess = torch.where(torch.isfinite(cost), excess, math.inf)
        index = torch.where(torch.isfinite(best_kept[-1:].T), torch.cat(kept, dim=1), excess).argmin(
            dim=1, keepdim=True
        )
        best = cost.gather(1, index)[:, 0]
        return Plan(
            actions=pick(torch.cat(list(finalists), dim=1), index)[:, 0],
            cost=best,
            cost_history=torch.cat([best_kept[:-1], best[None]]),
            elites=elites,
            num_evaluations=num_evaluations,
        )


class Augmented:
    """An objective whose violations are part of its cost.

    Args:
        objective: What is augmented.
        multipliers: `[batch, num_constraints or 1]`.
        penalty: Above 0.
    """

    def __init__(self, objective: Objective, multipliers: Tensor, penalty: float) -> None:
        self.num_constraints: int | None = None
        """Of the objective, or None before it priced anything."""
        self._objective = objective
        self._multipliers = multipliers
        self._penalty = penalty

    def __call__(self, actions: Tensor) -> Score:
        """Prices candidates; see `Objective`."""
        return self._augment(self._objective(actions))

    def _augment(self, score: Score) -> Score:
        if score.cost.ndim != 2 or score.violations.shape[:-1] != score.cost.shape:
            return score  # for the evaluator to refuse
        self.num_constraints = score.violations.shape[2]
        multipliers = self._multipliers[:, None]
        raised = (multipliers + self._penalty * score.violations).clamp(min=0.0)
        penalties = (raised.square() - multipliers.square()) / (2 * self._penalty)
        return Score(cost=score.cost + penalties.sum(dim=2), violations=score.violations[:, :, :0])


class AugmentedTrajectory(Augmented):
    """The same of an objective that shows states: a `TrajectoryObjective`."""

    _objective: TrajectoryObjective

    def rollout(self, actions: Tensor) -> Tensor:
        """Returns the states that the actions lead to."""
        return self._objective.rollout(actions)

    def predict(self, states: Tensor, actions: Tensor) -> Tensor:
        """Returns where each step leads from the state given before it."""
        return self._objective.predict(states, actions)

    def price(self, states: Tensor, actions: Tensor) -> Score:
        """Prices states and actions as if the states were real."""
        return self._augment(self._objective.price(states, actions))


def augment(objective: Objective, multipliers: Tensor, penalty: float) -> Augmented:
    """Returns the augmented Lagrangian of an objective, which shows states where the objective does."""
    kind = AugmentedTrajectory if isinstance(objective, TrajectoryObjective) else Augmented
    return kind(objective, multipliers, penalty)


class _Shares:
    """What each round may spend of a budget that is at least 2 evaluations; its time begins now."""

    def __init__(self, budget: Budget, num_rounds: int, num_finalists: int) -> None:
        worthwhile = 2 * num_finalists
        affordable = num_rounds if budget.num_evaluations is None else budget.num_evaluations // worthwhile
        self.num_rounds = max(min(num_rounds, affordable), 1)
        self._num_finalists = num_finalists
        self._budget = budget
        self._started = time.perf_counter()

    def of_round(self, index: int, num_spent: int) -> tuple[Budget, int]:
        """Returns an equal share of what is left, for the planner inside, and the number of finalists."""
        rounds_left = self.num_rounds - index
        evaluations, milliseconds = self._budget.num_evaluations, self._budget.milliseconds
        num_finalists = self._num_finalists
        if evaluations is not None:
            share = (evaluations - num_spent) // rounds_left
            num_finalists = min(num_finalists, share - 1)
            evaluations = share - num_finalists
        if milliseconds is not None:
            milliseconds = max(milliseconds - self._elapsed(), 1e-3) / rounds_left
        return replace(self._budget, num_evaluations=evaluations, milliseconds=milliseconds), num_finalists

    def is_over(self) -> bool:
        """Whether no time is left for another round."""
        return self._budget.milliseconds is not None and self._elapsed() >= self._budget.milliseconds

    def _elapsed(self) -> float:
        return 1e3 * (time.perf_counter() - self._started)
