"""How close every planner comes to a known optimum: a linear-quadratic problem and its Riccati solution.

`python -m benchmarks.planners.known_optima` plans 10 steps from 8 starts with 10 seeds each, and prints the relative
gap to the optimum, median and worst: in the first call as the yaml says, after 20 calls on the same problem, each from
where the last one stood, and in a first call with generous settings. The yamls are tuned for control, where a few
hundred evaluations a step are enough and a broad search is worth more than the last digit.

Predictive sampling plans splines; its gap to the cheapest of all its splines is shown too.
"""

import sys
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor
from tqdm import tqdm

from benchmarks.arguments import call
from benchmarks.planners.lqr import LQR, make_lqr
from benchmarks.planners.shipped import build, build_to_spend, generator, planner_configs
from benchmarks.tables import table
from planners.splines import spline_basis
from planners.types import Budget, Plan, Planner

HORIZON = 10
NUM_SEEDS = 10
NUM_CALLS = 20
GENEROUS_EVALUATIONS = 25_000
NARROW = {"num_samples": 1_000, "init_std": 0.5, "warm_std": 0.5, "min_std": 0.002, "noise_exponent": 0.0}
GENEROUS: dict[str, dict[str, Any]] = {
    "cem": {"num_elites": 50, **NARROW},
    "icem": {"num_elites": 50, **NARROW},
    "mppi": {"temperature": 0.02, **NARROW},
    "predictive_sampling": {"std": 0.02},
    "collocation": {
        "num_restarts": 2,
        "penalty": 10.0,
        "optimizer": {"_target_": "planners.adam.Adam", "learning_rate": 0.02, "beta1": 0.9, "beta2": 0.99},
    },
}
"""Other values beside more iterations: many samples of white noise, and a search that may narrow further."""


def main() -> None:
    torch.set_num_threads(1)
    lqr = make_lqr()
    starts = lqr.starts.repeat(NUM_SEEDS, 1)
    optimum = lqr.optimum(starts)
    rows = []
    for name, config in tqdm(planner_configs().items(), desc="planners", file=sys.stderr):
        generous = build_generous(name, config, lqr)
        cold, _ = solve(build(config), lqr, starts)
        warm, total = solve(build(config), lqr, starts, num_calls=NUM_CALLS)
        best, _ = solve(generous, lqr, starts, num_evaluations=GENEROUS_EVALUATIONS)
        spent = [f"{cold.num_evaluations:,}", f"{total:,}", f"{best.num_evaluations:,}"]
        rows.append(row(name, spent, [cold, warm, best], optimum))
        if "spline_order" in config:
            reachable = spline_optimum(lqr, starts, num_knots=config.num_knots, order=config.spline_order)
            rows.append(row(f"{name}, against its best spline", spent, [cold, warm, best], reachable))
    print(
        f"Relative gap to the optimum, %: median (worst) of {len(lqr.starts)} starts x {NUM_SEEDS} seeds, "
        f"{HORIZON} steps; behind it the evaluations spent.\n"
    )
    print(table(["planner", "first call", f"after {NUM_CALLS} calls", "generous, first call"], rows))


def build_generous(name: str, config: DictConfig, lqr: LQR) -> Planner[Any]:
    """Returns a planner that takes all the evaluations that it needs."""
    config = config.copy()
    config.update(GENEROUS.get(name, {}))
    return build_to_spend(config, GENEROUS_EVALUATIONS, bounds=lqr.bounds, horizon=HORIZON)


def solve(
    planner: Planner[Any], lqr: LQR, starts: Tensor, *, num_calls: int = 1, num_evaluations: int | None = None
) -> tuple[Plan, int]:
    """Returns the last plan, of many calls on the same problems, and the evaluations of all calls."""
    state = planner.init(lqr.bounds, batch_size=len(starts), horizon=HORIZON)
    total = 0
    for index in range(num_calls):
        generators = [generator(index, problem) for problem in range(len(starts))]
        noise = planner.sample_noise(generators, bounds=lqr.bounds, horizon=HORIZON)
        plan, state = planner.plan(
            lqr.objective(starts), state, noise=noise, bounds=lqr.bounds, budget=Budget(num_evaluations)
        )
        total += plan.num_evaluations
    return plan, total


def spline_optimum(lqr: LQR, starts: Tensor, *, num_knots: int, order: int) -> Tensor:
    """Returns the least cost of any spline, `[batch]`: the cost is quadratic in the knots, so one Newton step is exact.

    Raises:
        ValueError: The best spline leaves the bounds.
    """
    basis = spline_basis(num_knots, HORIZON, order=order).float()
    action_dim = len(lqr.bounds.low)
    costs = []
    for start in starts:
        objective = lqr.objective(start[None])

        def price(knots: Tensor, objective: Any = objective) -> Tensor:
            cost: Tensor = objective((basis @ knots.view(num_knots, action_dim))[None, None]).cost.sum()
            return cost

        zero = torch.zeros(num_knots * action_dim)
        hessian = torch.func.hessian(price)(zero)
        gradient = torch.func.grad(price)(zero)
        best = -torch.linalg.solve(hessian, gradient)
        actions = basis @ best.view(num_knots, action_dim)
        if not torch.equal(actions, lqr.bounds.clip(actions)):
            raise ValueError(f"the best spline must lie inside the bounds, got {actions.tolist()}")
        costs.append(price(best))
    return torch.stack(costs)


def row(name: str, spent: list[str], plans: list[Plan], optimum: Tensor) -> list[str]:
    gaps = [100 * (plan.cost / optimum - 1) for plan in plans]
    cells = [f"{gap.median():.4f} ({gap.max():.4f}), {number}" for gap, number in zip(gaps, spent, strict=True)]
    return [name, *cells]


if __name__ == "__main__":
    call(main)
