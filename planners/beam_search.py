"""Beam search: grow sequences of discrete actions step by step, and keep the most promising beginnings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from planners.candidates import admit, best_plan, cheapest, pick
from planners.choices import check_levels, enumerate_choices
from planners.evaluator import Evaluator
from planners.noise import check_noise_shape
from planners.plan_state import FromLastPlan, PlanState
from planners.types import ActionBounds, Budget, Objective, Plan
from planners.undisturbed import undisturbed


@dataclass(frozen=True, kw_only=True)
class BeamSearch(FromLastPlan):
    """Keeps the `beam_width` cheapest beginnings, and tries every choice as the next action of each.

    A beginning is priced as a whole sequence: the default, which is the cheapest of the proposals and the last plan,
    goes on where it ends (a rollout algorithm, Bertsekas, Tsitsiklis and Wu, "Rollout algorithms for combinatorial
    optimization", 1997). So a cost that only the end shows guides the search as well, every candidate may be the plan,
    and the plan never costs more than the default. Of beginnings that cost the same, the first in the order of the
    choices is kept.

    The choices are those of the bounds or, in a box, a grid of it; there proposals and last plan are candidates as they
    are. The search is exact where no beginning is dropped, `beam_width >= num_choices ** (horizon - 1)`: it prices
    every sequence of choices. It is as exact with `beam_width=1` where the default's cost ranks beginnings as the best
    continuations do. A budget that ends the search before the last step leaves the default in the steps not tried.

    Attributes:
        num_levels: Levels of the grid in each dimension of a box, at least 2; without effect on given choices.
        beam_width: Beginnings that are kept after each step.

    Raises:
        ValueError: A parameter is out of its range.
    """

    takes_choices: ClassVar[bool] = True

    num_levels: int
    beam_width: int

    def __post_init__(self) -> None:
        check_levels(self.num_levels)
        if self.beam_width < 1:
            raise ValueError(f"beam_width must be at least 1, got {self.beam_width}")

    def init(self, bounds: ActionBounds, *, batch_size: int, horizon: int) -> PlanState:
        """Returns a plan that stays at the centre of the box."""
        enumerate_choices(bounds, num_levels=self.num_levels)
        return super().init(bounds, batch_size=batch_size, horizon=horizon)

    def sample_noise(self, generators: Sequence[Generator], *, bounds: ActionBounds, horizon: int) -> Tensor:
        """Returns `[batch, 0, horizon, action_dim]`: nothing is random."""
        return bounds.low.new_empty(len(generators), 0, horizon, *bounds.low.shape)

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
        """Minimises the objective from where `state` stands; see `Planner.plan`."""
        batch_size, horizon, action_dim = state.plan.shape
        check_noise_shape(noise, batch_size, 0, horizon, action_dim, dimensions="batch, 0, horizon, action_dim")
        evaluator = Evaluator(objective, budget)
        choices = enumerate_choices(bounds, num_levels=self.num_levels)
        last_plan = bounds.from_unit(state.plan)
        given = torch.stack(
            [*admit(proposals, bounds=bounds, batch_size=batch_size, horizon=horizon), last_plan], dim=1
        )
        given = given[:, : evaluator.grant(given.shape[1])]
        given_cost = evaluator.price(given).cost
        beam, default_cost = cheapest(given, given_cost)  # [batch, num_beginnings, horizon, action_dim]
        finalists = [(beam, default_cost)]

        for step in range(horizon):
            if not (size := evaluator.grant(beam.shape[1] * len(choices))):
                break

            # Expand, the children of the cheapest first
            children = beam.repeat_interleave(len(choices), dim=1)
            children[:, :, step] = choices.repeat(beam.shape[1], 1)
            candidates = bounds.clip(children[:, :size])

            # Price
            cost = evaluator.price(candidates).cost

            # Keep, the cheapest first
            kept_cost, index = (it[:, : self.beam_width] for it in cost.sort(dim=1, stable=True))
            beam = pick(candidates, index)
            finalists.append((beam[:, :1], kept_cost[:, :1]))

        plan = best_plan(finalists, elites=beam, fallback=last_plan, num_evaluations=evaluator.num_evaluations)
        return plan, PlanState(plan=bounds.to_unit(plan.actions))
