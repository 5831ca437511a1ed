"""Latent collocation: optimise states and actions together, with the dynamics as a constraint between them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from planners.adam import Adam
from planners.candidates import best_plan
from planners.evaluator import Evaluator
from planners.plan_state import PlanState
from planners.reach import by_place, move
from planners.restarts import Restarts
from planners.types import ActionBounds, Budget, Objective, Plan, Score, TrajectoryObjective
from planners.undisturbed import undisturbed


@dataclass(frozen=True, kw_only=True)
class Collocation(Restarts):
    """Collocation in the space of the model's states.

    (Rybkin et al., "Model-based reinforcement learning via latent-space collocation", 2021.)

    Minimises `cost(states, actions)` where `defects = predict(states, actions) - states` are 0, by the saddle point of
    the augmented Lagrangian `cost + multipliers . defects + penalty / 2 * |defects|^2`: at each step Adam descends it
    in the states and actions, and the multipliers ascend it by `multiplier_rate * penalty * defects` (Bertsekas,
    "Constrained optimization and Lagrange multiplier methods", 1982, section 2). All steps of the horizon are predicted
    at once, each from its own state, so that no gradient passes through a chain of predictions.

    What it costs is what the actions really lead to: now and then they are rolled out, and the cheapest sequence that
    was ever rolled out is the plan. Each start has the states that it leads to; see `Restarts`.

    A step is three evaluations a start, a rollout one. A budget takes steps away from the end.

    Attributes:
        num_steps: Steps of the saddle point search from each.
        rollout_every: Steps from rollout to rollout.
        optimizer: Turns gradients into steps, of the states in their own units, of the actions' places in the box that
            is open to each (see `planners.reach`).
        penalty: Of the squared defects, above 0.
        multiplier_rate: Of the ascent, relative to the penalty, in (0, 1].

    Raises:
        ValueError: A parameter is out of its range.
    """

    num_steps: int
    rollout_every: int
    optimizer: Adam
    penalty: float
    multiplier_rate: float

    def __post_init__(self) -> None:
        for name in ("num_steps", "rollout_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.penalty < math.inf:
            raise ValueError(f"penalty must be above 0 and finite, got {self.penalty}")
        if not 0 < self.multiplier_rate <= 1:
            raise ValueError(f"multiplier_rate must be in (0, 1], got {self.multiplier_rate}")
        super().__post_init__()

    @undisturbed
    def plan(
        self,
        objective: Objective,
        state: PlanState,
        *,
        noise: Tensor,
        bounds: ActionBounds,
        budget: Budget,
        proposals: Sequence[Tensor] = (),
    ) -> tuple[Plan, PlanState]:
        """Minimises the objective from where `state` stands; see `Planner.plan`.

        Raises:
            ValueError: As `Planner.plan`, or the objective is no `TrajectoryObjective`.
        """
        if not isinstance(objective, TrajectoryObjective):
            raise ValueError(
                "Collocation plans states and actions together and needs a TrajectoryObjective, which shows states, "
                f"got {type(objective).__name__}: take gradient"
            )
        starts = self.starts(state.plan, noise, bounds=bounds, proposals=proposals)
        evaluator = Evaluator(objective, budget)
        rolled_out = self._search(objective, evaluator, starts, bounds=bounds)
        plan = best_plan(
            rolled_out,
            elites=rolled_out[-1][0],
            fallback=bounds.from_unit(state.plan),
            num_evaluations=evaluator.num_evaluations,
        )
        return plan, PlanState(plan=bounds.to_unit(plan.actions))

    def _search(
        self, objective: TrajectoryObjective, evaluator: Evaluator, starts: Tensor, *, bounds: ActionBounds
    ) -> list[tuple[Tensor, Tensor]]:
        """Returns the sequences that were rolled out, the starts first, each with its cost `[batch, num_samples]`."""
        num_samples = evaluator.grant(self.num_restarts)
        actions = starts[:, :num_samples]
        states, cost = evaluator.rollout(objective, actions)
        rolled_out = [(actions, cost)]
        multipliers = torch.zeros_like(states)
        state_moments, action_moments = self.optimizer.init(states), self.optimizer.init(actions)

        def lagrangian(states: Tensor, actions: Tensor, multipliers: Tensor) -> Score:
            defects = objective.predict(states, actions) - states
            score = objective.price(states, actions)
            infeasibility = multipliers * defects + 0.5 * self.penalty * defects.square()
            return replace(score, cost=score.cost.to(states) + infeasibility.sum(dim=(2, 3)))

        for step in range(1, self.num_steps + 1):
            if evaluator.grant(4 * num_samples) < 4 * num_samples:
                break
            _, (state_gradient, action_gradient, defects) = evaluator.differentiate(
                lagrangian, states, actions, multipliers
            )
            state_change, state_moments = self.optimizer.step(state_gradient, state_moments)
            action_change, action_moments = self.optimizer.step(
                by_place(action_gradient, actions, bounds), action_moments
            )
            states = states + state_change
            actions = move(actions, action_change, bounds)
            multipliers = torch.add(multipliers, defects, alpha=self.multiplier_rate * self.penalty)
            if step % self.rollout_every == 0:
                rolled_out.append((actions, evaluator.price(actions).cost))
        if actions is not rolled_out[-1][0] and evaluator.grant(num_samples):
            rolled_out.append((actions, evaluator.price(actions).cost))
        return rolled_out
