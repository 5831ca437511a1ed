"""One planning call: a batch of problems, and a seed for each."""

from collections.abc import Sequence
from typing import Any

from torch import Generator, Tensor

from planners.types import ActionBounds, Budget, Objective, Plan, Planner

UNLIMITED = Budget()


def solve(
    planner: Planner[Any],
    objective: Objective,
    bounds: ActionBounds,
    *,
    seeds: Sequence[int] = range(8),
    horizon: int = 3,
    state: Any = None,
    budget: Budget = UNLIMITED,
    proposals: Sequence[Tensor] = (),
) -> tuple[Plan, Any]:
    """Returns the plan for one problem a seed, and the state for the next call.

    Args:
        planner: That plans.
        objective: Prices candidates of `len(seeds)` problems; the LQR has eight starts.
        bounds: The box of the actions.
        seeds: Of the noise, one a problem.
        horizon: Steps.
        state: Where the planner stands, or None for its `init`.
        budget: What may be spent.
        proposals: Sequences from elsewhere.
    """
    generators = [Generator().manual_seed(seed) for seed in seeds]
    noise = planner.sample_noise(generators, bounds=bounds, horizon=horizon)
    if state is None:
        state = planner.init(bounds, batch_size=len(seeds), horizon=horizon)
    return planner.plan(objective, state, noise=noise, bounds=bounds, budget=budget, proposals=proposals)
