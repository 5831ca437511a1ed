"""Non-convex problems with brute-force optima, and how close each planner comes to them.

`python -m benchmarks.planners.test_bed` prints, for every shipped planner and problem, the gap to the optimum after
equal numbers of evaluations: 0 % is the optimum, 100 % is what doing nothing costs. All planners see the same problems
and the same seeds; each gets as many iterations as the evaluations allow, and keeps its other parameters.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.arguments import call
from benchmarks.planners.brute_force import Optimum, brute_force
from benchmarks.planners.dynamics import RolloutObjective
from benchmarks.planners.shipped import build_to_spend, generator, planner_configs, unit_box
from benchmarks.tables import table
from planners.types import ActionBounds, Budget

NUM_SEEDS = 20
NUM_EVALUATIONS = (1_000, 8_000)


@dataclass(frozen=True)
class Problem:
    """A control problem of few dimensions, with several valleys, actions in [-1, 1].

    Attributes:
        start: `[state_dim]`.
        horizon: Steps.
        action_dim: Of each step.
        step: See `RolloutObjective`.
        step_cost: See `RolloutObjective`; at least 0.
        low: `[state_dim]`, least state that is worth visiting.
        high: `[state_dim]`, greatest.
        num_states: Grid points a state dimension for brute force.
        num_levels: Grid points an action dimension for brute force.
    """

    start: Tensor
    horizon: int
    action_dim: int
    step: Callable[[Tensor, Tensor], Tensor]
    step_cost: Callable[[Tensor, Tensor], Tensor]
    low: tuple[float, ...]
    high: tuple[float, ...]
    num_states: tuple[int, ...]
    num_levels: int

    @property
    def bounds(self) -> ActionBounds:
        """The box of the actions."""
        return unit_box(self.action_dim)

    def objective(self, batch_size: int = 1) -> RolloutObjective:
        """Returns the cost of action sequences from the start, the same problem `batch_size` times."""
        start = self.start.expand(batch_size, -1)
        return RolloutObjective(start=start, step=self.step, step_cost=self.step_cost)

    def optimum(self) -> Optimum:
        """Returns the best plan that brute force finds."""
        return brute_force(
            self.objective(),
            bounds=self.bounds,
            horizon=self.horizon,
            low=self.low,
            high=self.high,
            num_states=self.num_states,
            num_levels=self.num_levels,
        )

    def cost_of_nothing(self) -> float:
        """Returns the cost of the actions 0."""
        return float(self.objective()(torch.zeros(1, 1, self.horizon, self.action_dim)).cost)


def double_well() -> Problem:
    """A point in a shallow well; the deeper one lies behind a barrier that takes most of the horizon to cross."""
    return Problem(
        start=torch.tensor([-1.0]),
        horizon=16,
        action_dim=1,
        step=lambda position, velocity: position + 0.25 * velocity,
        step_cost=lambda position, velocity: (
            (position.square() - 1).square() + 0.15 * (position - 1).square() + 0.02 * velocity.square()
        ).sum(dim=-1),
        low=(-1.6,),
        high=(1.6,),
        num_states=(641,),
        num_levels=81,
    )


def obstacle_detour() -> Problem:
    """A point mass, steered by its velocity, whose goal lies behind a wall; both ways around cost the same."""
    goal = (1.0, 0.0)

    def step_cost(position: Tensor, velocity: Tensor) -> Tensor:
        x, y = position.unbind(dim=-1)
        distance = (x - goal[0]).square() + (y - goal[1]).square()
        wall = torch.exp(-0.5 * (x / 0.15).square()) * torch.sigmoid((0.5 - y.abs()) / 0.05)
        return distance + 10 * wall + 0.02 * velocity.square().sum(dim=-1)

    return Problem(
        start=torch.tensor([-1.0, 0.0]),
        horizon=16,
        action_dim=2,
        step=lambda position, velocity: position + 0.2 * velocity,
        step_cost=step_cost,
        low=(-1.3, -1.3),
        high=(1.3, 1.3),
        num_states=(105, 105),
        num_levels=15,
    )


def pendulum_swing_up() -> Problem:
    """A hanging pendulum whose motor lifts half its weight: it must swing away before it can swing up.

    State: angle from upright, rad, and angular velocity, rad/s; 0.1 s a step, semi-implicit Euler.
    """

    def step(state: Tensor, torque: Tensor) -> Tensor:
        angle, velocity = state.unbind(dim=-1)
        velocity = velocity + 0.1 * (10 * angle.sin() + 5 * torque[..., 0])
        return torch.stack([angle + 0.1 * velocity, velocity], dim=-1)

    def step_cost(state: Tensor, torque: Tensor) -> Tensor:
        angle, velocity = state.unbind(dim=-1)
        return 1 - angle.cos() + 0.01 * velocity.square() + 0.01 * torque[..., 0].square()

    return Problem(
        start=torch.tensor([math.pi, 0.0]),
        horizon=25,
        action_dim=1,
        step=step,
        step_cost=step_cost,
        low=(-1.5, -9.0),
        high=(2 * math.pi + 1.5, 9.0),
        num_states=(281, 241),
        num_levels=31,
    )


PROBLEMS = {"double well": double_well, "obstacle detour": obstacle_detour, "pendulum swing-up": pendulum_swing_up}


def main() -> None:
    torch.set_num_threads(1)
    problems = {name: make() for name, make in PROBLEMS.items()}
    optima = {name: problem.optimum() for name, problem in tqdm(problems.items(), desc="brute force")}
    costs = {
        "*optimum, cost*": [optima[name].cost for name in problems],
        "*doing nothing, cost*": [problem.cost_of_nothing() for problem in problems.values()],
    }
    rows = [[label, *(f"{cost:.4f}" for cost in row for _ in NUM_EVALUATIONS)] for label, row in costs.items()]
    for planner_name in tqdm(planner_configs(), desc="planners"):
        row = [planner_name]
        for name, problem in problems.items():
            for num_evaluations in NUM_EVALUATIONS:
                gaps = relative_gaps(planner_name, problem, optima[name], num_evaluations)
                row.append(f"{100 * gaps.median():.2f} ({100 * gaps.max():.2f})")
        rows.append(row)
    header = ["planner", *(f"{name}, {number:,}" for name in problems for number in NUM_EVALUATIONS)]
    print(
        "Gap to the optimum after so many evaluations, % of the gain over doing nothing: "
        f"median (worst) of {NUM_SEEDS} seeds.\n"
    )
    print(table(header, rows))


def relative_gaps(planner_name: str, problem: Problem, optimum: Optimum, num_evaluations: int) -> Tensor:
    """Returns how much of the gain over doing nothing a planner misses, `[NUM_SEEDS]`."""
    bounds, horizon = problem.bounds, problem.horizon
    planner = build_to_spend(planner_configs()[planner_name], num_evaluations, bounds=bounds, horizon=horizon)
    noise = planner.sample_noise([generator(seed) for seed in range(NUM_SEEDS)], bounds=bounds, horizon=horizon)
    state = planner.init(bounds, batch_size=NUM_SEEDS, horizon=horizon)
    plan, _ = planner.plan(
        problem.objective(NUM_SEEDS), state, noise=noise, bounds=bounds, budget=Budget(num_evaluations)
    )
    return (plan.cost - optimum.cost) / (problem.cost_of_nothing() - optimum.cost)


if __name__ == "__main__":
    call(main)
