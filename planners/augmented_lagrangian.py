"""The augmented Lagrangian: constraints for a planner that knows none."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from planners.candidates import admit, pick
from planners.evaluator import Evaluator
from planners.plan_state import PlanState
from planners.types import ActionBounds, Budget, Objective, Plan, Planner, Score, TrajectoryObjective
from planners.undisturbed import undisturbed


@dataclass(frozen=True)
class AugmentedLagrangianState:
    """Where the search stands.

    Attributes:
        inner: Of the planner inside.
        multipliers: `[batch, num_constraints]`, at least 0, what a unit of each violation is worth in cost; no
            constraints as long as none is known.
        last: The plan that was returned, which need not be that of the planner inside.
    """

    inner: Any
    multipliers: Tensor
    last: PlanState


@dataclass(frozen=True, kw_only=True)
class AugmentedLagrangian:
    """Turns violations into cost, so that any planner keeps constraints; with none it is the planner inside.

    A round is a call of the planner inside on `cost + sum(max(0, m + p * violation)^2 - m^2) / 2p`, from where the
    round before ended; then the multipliers become `max(0, m + p * violation)` with the violation of the round's plan,
    and the penalty `p` grows (Powell 1969, Hestenes 1969 and Rockafellar 1973; Nocedal and Wright, "Numerical
    optimization", 2006, section 17.3 and algorithm 17.4, with the slack variables eliminated).

    The finalists of a round, its plan and its best elites, are priced once more, without the penalty. The plan is the
    cheapest that keeps all constraints among the last plan (at first the centre of the box), the proposals and the
    finalists of all rounds, or else the one that violates them least; its cost is the objective's own. So a plan that
    keeps the constraints is never given up for one that does not. Multipliers are kept from call to call, the penalty
    is not; where another number of constraints comes, they start from 0.

    A budget is shared equally between the rounds, finalists included, once the last plan and the proposals are priced;
    a small one has fewer rounds. An objective without constraints is left to the planner inside, in one round.

    Violations are meant to be relative, as those of `CostModule`: one of 0.1 exceeds its limit by a tenth.

    Attributes:
        planner: Minimises the cost of a round.
        num_rounds: Calls of the planner inside, at least 1.
        num_finalists: Of a round, at least 1.
        worthwhile: Evaluations that a round is worth, at least 2: a budget that holds fewer a round has fewer rounds.
        init_penalty: Of the first round, cost per half a squared violation, above 0.
        penalty_growth: Factor from round to round, at least 1.
        tolerance: Largest violation of a plan that counts as keeping a constraint, at least 0.

    Raises:
        ValueError: A parameter is out of its range.
    """

    planner: Planner[Any]
    num_rounds: int
    num_finalists: int
    worthwhile: int
    init_penalty: float
    penalty_growth: float
    tolerance: float

    def __post_init__(self) -> None:
        if self.num_rounds < 1:
            raise ValueError(f"num_rounds must be at least 1, got {self.num_rounds}")
        if self.num_finalists < 1:
            raise ValueError(f"num_finalists must be at least 1, got {self.num_finalists}")
        if self.worthwhile < 2:
            raise ValueError(f"worthwhile must be at least 2, got {self.worthwhile}")
        if not 0 < self.init_penalty < math.inf:
            raise ValueError(f"init_penalty must be above 0 and finite, got {self.init_penalty}")
        if not 1 <= self.penalty_growth < math.inf:
            raise ValueError(f"penalty_growth must be at least 1 and finite, got {self.penalty_growth}")
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"tolerance must be at least 0 and finite, got {self.tolerance}")

    def init(self, bounds: ActionBounds, *, batch_size: int, horizon: int) -> AugmentedLagrangianState:
        """Returns the planner's own beginning, with multipliers of 0."""
        return AugmentedLagrangianState(
            inner=self.planner.init(bounds, batch_size=batch_size, horizon=horizon),
            multipliers=bounds.low.new_zeros(batch_size, 0),
            last=PlanState.init(bounds, batch_size=batch_size, horizon=horizon),
        )

    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Draws the noise of each round, the planner's own, `[batch, num_rounds, ...]`."""
        rounds = range(self.num_rounds)
        return torch.stack(
            [self.planner.sample_noise(generators, bounds=bounds, horizon=horizon) for _ in rounds], dim=1
        )

    @undisturbed
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

        # Price what is known
        evaluator = Evaluator(objective, budget)
        batch_size, horizon, _ = state.last.plan.shape
        given = admit(proposals, bounds=bounds, batch_size=batch_size, horizon=horizon)
        elites = torch.stack([bounds.from_unit(state.last.plan), *given], dim=1)[:, : budget.num_evaluations]
        finalists, scores = [elites], [evaluator.price(elites)]
        num_left, pricing = evaluator.left(), evaluator.elapsed()
        inner, multipliers, penalty = state.inner, state.multipliers, self.init_penalty
        num_constraints = scores[0].violations.shape[2]
        if multipliers.shape[1] != num_constraints:
            multipliers = multipliers.new_zeros(batch_size, num_constraints)
        num_rounds = self.num_rounds if num_constraints else 1
        if num_left is not None:
            num_rounds = max(min(num_rounds, num_left // self.worthwhile), 1)

        for rounds_left in range(num_rounds, 0, -1):
            if evaluator.grant(2) < 2:
                break
            share, num_finalists = self._share(budget, evaluator, rounds_left, pricing)

            # Minimise
            plan, inner = self.planner.plan(
                augment(objective, multipliers, penalty),
                inner,
                noise=noise[:, num_rounds - rounds_left],
                bounds=bounds,
                budget=share,
                proposals=proposals,
            )
            evaluator.charge(plan.num_evaluations)

            # Price without penalty
            elites = plan.elites
            finalists.append(torch.cat([plan.actions[:, None], elites], dim=1)[:, :num_finalists])
            scores.append(evaluator.price(finalists[-1]))

            # Raise the price of what the plan violates
            raised = (multipliers + penalty * scores[-1].violations[:, 0]).clamp(min=0.0)
            multipliers = torch.where(torch.isfinite(raised), raised, multipliers)
            penalty *= self.penalty_growth

        chosen = self._choose(finalists, scores, elites=elites, num_evaluations=evaluator.num_evaluations)
        last = PlanState(plan=bounds.to_unit(chosen.actions))
        return chosen, AugmentedLagrangianState(inner=inner, multipliers=multipliers, last=last)

    def shift(self, state: AugmentedLagrangianState, num_steps: int) -> AugmentedLagrangianState:
        """Moves the planner's state and the last plan on; the multipliers stay, unless all of the horizon is new."""
        kept = float(num_steps < state.last.plan.shape[1])
        return AugmentedLagrangianState(
            inner=self.planner.shift(state.inner, num_steps),
            multipliers=kept * state.multipliers,
            last=state.last.shift(num_steps),
        )

    def resize(self, state: AugmentedLagrangianState, horizon: int) -> AugmentedLagrangianState:
        """Cuts the planner's state and the last plan, or extends them; the multipliers stay."""
        return replace(state, inner=self.planner.resize(state.inner, horizon), last=state.last.resize(horizon))

    def _share(self, budget: Budget, evaluator: Evaluator, rounds_left: int, pricing: float) -> tuple[Budget, int]:
        """Returns what a round may spend, an equal share of what is left: the planner inside, on how many finalists.

        Args:
            budget: Of all rounds.
            evaluator: Knows what is left of it.
            rounds_left: This one included.
            pricing: What pricing the finalists takes, ms.
        """
        num_evaluations, milliseconds, num_finalists = evaluator.left(), budget.milliseconds, self.num_finalists
        if num_evaluations is not None:
            num_evaluations //= rounds_left
            num_finalists = min(num_finalists, num_evaluations // 2)
            num_evaluations -= num_finalists
        if milliseconds is not None:
            milliseconds = max((milliseconds - evaluator.elapsed()) / rounds_left - pricing, 1e-3)
        return replace(budget, num_evaluations=num_evaluations, milliseconds=milliseconds), num_finalists

    def _choose(
        self, finalists: Sequence[Tensor], scores: Sequence[Score], *, elites: Tensor, num_evaluations: int
    ) -> Plan:
        """Returns the best of the finalists.

        Args:
            finalists: What was given, and those of each round, `[batch, num_finalists, horizon, action_dim]`.
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
        self._objective = objective
        self._multipliers = multipliers
        self._penalty = penalty

    def __call__(self, actions: Tensor) -> Score:
        """Prices candidates; see `Objective`."""
        return self._augment(self._objective(actions))

    def _augment(self, score: Score) -> Score:
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
