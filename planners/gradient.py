"""The gradient planner: descend the cost through the model, from several starts."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from planners.adam import Adam
from planners.candidates import best_plan
from planners.evaluator import Evaluator
from planners.plan_state import PlanState
from planners.reach import by_place, move
from planners.restarts import Restarts
from planners.types import ActionBounds, Budget, Objective, Plan
from planners.undisturbed import undisturbed


@dataclass(frozen=True, kw_only=True)
class Gradient(Restarts):
    """Projected gradient descent on the actions (Bertsekas, "Nonlinear programming", 1999, section 2.3), with Adam.

    A step changes the place of each action in the box that is open to it, and projects it on that box (see
    `planners.reach`): one learning rate fits all actions, and a limit on their change costs nothing. The plan is the
    cheapest iterate of all, not the last. Where it starts is said by `Restarts`.

    A step is three evaluations a start; the last iterates are one more each. A budget takes steps away from the end;
    one that holds no step of all starts prices as many of them as it can.

    Attributes:
        num_steps: Gradient steps from each.
        optimizer: Turns gradients into steps.

    Raises:
        ValueError: A parameter is out of its range.
    """

    num_steps: int
    optimizer: Adam

    def __post_init__(self) -> None:
        if self.num_steps < 1:
            raise ValueError(f"num_steps must be at least 1, got {self.num_steps}")
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
        """Minimises the objective from where `state` stands; see `Planner.plan`."""
        starts = self.starts(state.plan, noise, bounds=bounds, proposals=proposals)
        evaluator = Evaluator(objective, budget)
        iterates = descend(starts, evaluator, bounds=bounds, optimizer=self.optimizer, num_steps=self.num_steps)
        plan = best_plan(
            iterates,
            elites=iterates[-1][0],
            fallback=bounds.from_unit(state.plan),
            num_evaluations=evaluator.num_evaluations,
        )
        return plan, PlanState(plan=bounds.to_unit(plan.actions))


def descend(
    candidates: Tensor, evaluator: Evaluator, *, bounds: ActionBounds, optimizer: Adam, num_steps: int
) -> list[tuple[Tensor, Tensor]]:
    """Descends the cost from each candidate, as far as the budget goes.

    Args:
        candidates: `[batch, num_samples, horizon, action_dim]`, inside the bounds.
        evaluator: Prices and differentiates them.
        bounds: Of the actions.
        optimizer: Turns gradients with respect to the actions' places into steps.
        num_steps: At most.

    Returns:
        The iterates, the candidates first, each with its cost `[batch, num_samples]`; none where the budget is spent,
        fewer samples at the end where it is nearly.
    """
    num_samples = candidates.shape[1]
    iterates = []
    moments = optimizer.init(candidates)
    for _ in range(num_steps):
        if evaluator.grant(3 * num_samples, reserved=num_samples) < 3 * num_samples:
            break
        cost, gradient = evaluator.price_with_gradient(candidates)
        iterates.append((candidates, cost))
        change, moments = optimizer.step(by_place(gradient, candidates, bounds), moments)
        candidates = move(candidates, change, bounds)
    if size := evaluator.grant(num_samples):
        iterates.append((candidates[:, :size], evaluator.price(candidates[:, :size]).cost))
    return iterates
