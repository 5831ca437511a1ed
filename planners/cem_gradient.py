"""CEM, then gradient descent from its elites: the search finds the valley, the descent its bottom."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor

from planners.adam import Adam
from planners.candidates import best_plan
from planners.cem import CEM
from planners.evaluator import Evaluator
from planners.gaussian import GaussianState
from planners.gradient import descend
from planners.types import ActionBounds, Budget, Objective, Plan
from planners.undisturbed import undisturbed


@dataclass(frozen=True, kw_only=True)
class CEMGradient:
    """A few iterations of the cross-entropy method, then projected gradient descent from the best that it found.

    (Bharadhwaj, Xie and Shkurti, "Model-predictive control via cross-entropy and gradient-based optimization", 2020;
    there the two alternate.) The plan is the cheapest of all that either of them priced. The search pays first: a
    budget takes steps away from the descent, and only one that is below what the search asks for shortens the search.

    Attributes:
        search: Where it starts, proposals and warm start included.
        num_refined: Candidates that are refined, in 1..search.num_elites: the plan of the search in place of its best
            elite, and the elites after it.
        num_steps: Gradient steps from each.
        optimizer: Turns gradients into steps.

    Raises:
        ValueError: A parameter is out of its range.
    """

    search: CEM
    num_refined: int
    num_steps: int
    optimizer: Adam

    def __post_init__(self) -> None:
        if not 1 <= self.num_refined <= self.search.num_elites:
            raise ValueError(
                f"num_refined must be in 1..search.num_elites={self.search.num_elites}, got {self.num_refined}"
            )
        if self.num_steps < 1:
            raise ValueError(f"num_steps must be at least 1, got {self.num_steps}")

    def init(self, bounds: ActionBounds, *, batch_size: int, horizon: int) -> GaussianState:
        """Returns the state of a search that has seen nothing."""
        bounds.require_continuous(type(self).__name__)
        return self.search.init(bounds, batch_size=batch_size, horizon=horizon)

    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Draws the noise of the search; the descent needs none."""
        return self.search.sample_noise(generators, bounds=bounds, horizon=horizon)

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
        evaluator = Evaluator(objective, budget)
        found, state = self.search.plan(
            objective, state, noise=noise, bounds=bounds, budget=budget, proposals=proposals
        )
        evaluator.charge(found.num_evaluations)
        starts = torch.cat([found.actions[:, None], found.elites[:, 1 : self.num_refined]], dim=1)
        iterates = descend(starts, evaluator, bounds=bounds, optimizer=self.optimizer, num_steps=self.num_steps)
        refined = best_plan(
            [(found.actions[:, None], found.cost[:, None]), *iterates],
            elites=iterates[-1][0] if iterates else found.elites,
            fallback=found.actions,
            num_evaluations=evaluator.num_evaluations,
        )
        plan = replace(refined, cost_history=torch.cat([found.cost_history, refined.cost_history[1:]]))
        return plan, replace(state, plan=bounds.to_unit(plan.actions))

    def shift(self, state: GaussianState, num_steps: int) -> GaussianState:
        """Moves the state of the search on; the new steps at the end are those of `init`."""
        return self.search.shift(state, num_steps)

    def resize(self, state: GaussianState, horizon: int) -> GaussianState:
        """Cuts the state of the search, or extends it by steps of `init`."""
        return self.search.resize(state, horizon)
