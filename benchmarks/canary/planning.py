"""What is known of a planner: the optimum of an LQR, and that no plan leaves the bounds."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.canary.check import Check
from benchmarks.planners.lqr import make_lqr
from benchmarks.planners.objectives import Recorder, priced
from benchmarks.planners.shipped import build, planner_configs
from benchmarks.planners.solving import solve
from planners.types import ActionBounds, Budget, Planner, Score

PLANNERS = ("cem", "icem", "mppi", "cem_gradient")
"""Those that come to an optimum in a moment; the contract tests look at all."""

NUM_CALLS = 20


def checks(seed: int) -> list[Check]:
    """Returns what is known of each planner, under the noise of that seed."""
    return [check for name in PLANNERS for check in _of(name, seed)]


def _of(name: str, seed: int) -> list[Check]:
    # Measured under seeds 0 to 3, the worst of the planners: 0.0007, 0, 0.026, 0, and 0.006.
    planner = build(planner_configs()[name])
    return [
        Check(f"{name}: above the Riccati optimum", partial(optimality_gap, planner, seed), least=-1e-4, most=0.005),
        Check(f"{name}: actions beyond the bounds", partial(trespasses, planner, seed), most=0),
        Check(f"{name}: what a warm start leaves of the gap", partial(warm_share, planner, seed), most=0.1),
        Check(f"{name}: the same noise, the same plan", partial(replanned, planner, seed, seed), most=0),
        Check(f"{name}: other noise, another plan", partial(replanned, planner, seed, seed + 1), least=1e-4),
    ]


def optimality_gap(planner: Planner[Any], seed: int) -> float:
    """Returns how far the worst of eight plans is above the Riccati optimum, as a share, after some warm calls."""
    lqr, state = make_lqr(), None
    for call in range(NUM_CALLS):
        plan, state = solve(planner, lqr.objective(lqr.starts), lqr.bounds, seeds=_seeds(seed, call), state=state)
    return float((plan.cost / lqr.optimum(lqr.starts) - 1).max())


def trespasses(planner: Planner[Any], seed: int) -> int:
    """Returns how many numbers that are priced or planned lie outside of a box to whose edge the cost falls."""
    low, high = torch.tensor([-0.1, 1 / 3, -1e3]), torch.tensor([0.3, 0.7, 1e-3])
    bounds = ActionBounds(low=low, high=high)
    outside = 0
    for sign in (-1.0, 1.0):
        objective = Recorder(partial(_sum, sign=sign))
        plan, _ = solve(planner, objective, bounds, seeds=_seeds(seed, 0), proposals=[torch.full((8, 3, 3), 1e9)])
        outside += sum(_outside(actions, bounds) for actions in (*objective.candidates, plan.actions, plan.elites))
    return outside


def warm_share(planner: Planner[Any], seed: int) -> float:
    """Returns which share of a cold start's gap to the optimum is left by a warm one, with a few evaluations each."""
    lqr, budget = make_lqr(), Budget(num_evaluations=64)
    state = None
    for call in range(NUM_CALLS):
        plan, state = solve(
            planner, lqr.objective(lqr.starts), lqr.bounds, seeds=_seeds(seed, call), state=state, horizon=6
        )
    starts = lqr.step(lqr.starts, plan.actions[:, 0])
    gaps = [
        solve(planner, lqr.objective(starts), lqr.bounds, seeds=_seeds(seed, 0), state=it, budget=budget, horizon=6)[
            0
        ].cost
        - lqr.optimum(starts)
        for it in (planner.shift(state, 1), None)
    ]
    return float(gaps[0].sum() / gaps[1].sum())


def replanned(planner: Planner[Any], first: int, second: int) -> float:
    """Returns by how much two plans for the same problems differ at most, under noise of two seeds."""
    lqr = make_lqr()
    plans = [
        solve(planner, lqr.objective(lqr.starts), lqr.bounds, seeds=_seeds(seed, 0))[0].actions
        for seed in (first, second)
    ]
    return float((plans[0] - plans[1]).abs().max())


def _sum(actions: Tensor, *, sign: float) -> Score:
    return priced(sign * actions.sum(dim=(2, 3)))


def _outside(actions: Tensor, bounds: ActionBounds) -> int:
    return int(((actions < bounds.low) | (actions > bounds.high)).sum())


def _seeds(seed: int, call: int) -> range:
    """Returns seeds of eight problems that no other call and no other seed has."""
    first = 8 * (1000 * seed + call)
    return range(first, first + 8)
