"""The optima that planners are measured by are right."""

import pytest
import torch

from benchmarks.planners.brute_force import polish
from benchmarks.planners.dynamics import RolloutObjective
from benchmarks.planners.shipped import build_to_spend, generator, planner_configs
from benchmarks.planners.test_bed import PROBLEMS, obstacle_detour, pendulum_swing_up
from planners.types import Budget, TrajectoryObjective


@pytest.fixture(scope="module", params=PROBLEMS, ids=lambda name: name.replace(" ", "_"))
def problem(request):
    return PROBLEMS[request.param]()


@pytest.fixture(scope="module")
def optimum(problem):
    return problem.optimum()


def cost(problem, actions):
    return float(problem.objective()(actions.double()[None, None]).cost)


def test_the_optimum_is_a_plan_inside_the_bounds_and_costs_what_it_says(problem, optimum):
    assert torch.equal(optimum.actions, optimum.actions.clamp(-1, 1))
    assert cost(problem, optimum.actions) == pytest.approx(optimum.cost, rel=1e-12)


def test_dynamic_programming_and_the_true_dynamics_agree(problem, optimum):
    assert optimum.cost == pytest.approx(optimum.grid_cost, rel=0.01)


def test_no_local_search_beats_the_optimum(problem, optimum):
    generator = torch.Generator().manual_seed(0)
    starts = 2 * torch.rand(12, problem.horizon, problem.action_dim, generator=generator) - 1
    assert min(polish(problem.objective(), start, bounds=problem.bounds)[1] for start in starts) >= optimum.cost - 1e-6


@pytest.mark.parametrize("name", planner_configs())
def test_no_planner_beats_the_optimum(problem, optimum, name):
    bounds, horizon = problem.bounds, problem.horizon
    planner = build_to_spend(planner_configs()[name], 2_000, bounds=bounds, horizon=horizon)
    noise = planner.sample_noise([generator(seed) for seed in range(4)], bounds=bounds, horizon=horizon)
    state = planner.init(bounds, batch_size=4, horizon=horizon)
    plan, _ = planner.plan(problem.objective(4), state, noise=noise, bounds=bounds, budget=Budget(2_000))
    assert (plan.cost >= (1 - 1e-5) * optimum.cost).all()


def test_every_problem_is_hard(problem, optimum):
    """One descent from the actions 0 ends elsewhere: there is more than one valley, or a saddle in the way."""
    _, found = polish(problem.objective(), torch.zeros(problem.horizon, problem.action_dim), bounds=problem.bounds)
    assert found > 1.2 * optimum.cost


@pytest.mark.parametrize(
    ("make", "mirror"), [(obstacle_detour, [1.0, -1.0]), (pendulum_swing_up, [-1.0])], ids=["detour", "pendulum"]
)
def test_a_symmetric_problem_has_two_optima_of_the_same_cost(make, mirror):
    problem = make()
    optimum = problem.optimum()
    mirrored = optimum.actions * torch.tensor(mirror)
    assert (mirrored - optimum.actions).abs().max() > 0.5
    assert cost(problem, mirrored) == pytest.approx(optimum.cost, rel=1e-5)


def test_the_detour_goes_around_the_wall():
    problem = obstacle_detour()
    positions = problem.objective().rollout(problem.optimum().actions[None, None])[0, 0]
    beside = positions[(positions[:, 0].abs() < 0.15)]
    assert len(beside) >= 1
    assert (beside[:, 1].abs() > 0.5).all()
    assert (positions[-1] - torch.tensor([1.0, 0.0])).norm() < 0.05


def test_the_pendulum_ends_upright():
    problem = pendulum_swing_up()
    angle = problem.objective().rollout(problem.optimum().actions[None, None])[0, 0, -1, 0]
    assert angle.cos() > 0.95


def test_a_rollout_objective_keeps_the_promises_of_a_trajectory_objective(problem):
    objective = problem.objective(3)
    assert isinstance(objective, RolloutObjective)
    assert isinstance(objective, TrajectoryObjective)
    actions = torch.rand(3, 5, problem.horizon, problem.action_dim, dtype=torch.float64) * 2 - 1
    states = objective.rollout(actions)
    torch.testing.assert_close(objective(actions).cost, objective.price(states, actions).cost)
    torch.testing.assert_close(objective.predict(states, actions), states)
