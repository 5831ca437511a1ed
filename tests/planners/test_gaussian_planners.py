"""What all planners that move a Gaussian have in common."""

from dataclasses import replace

import pytest
import torch

from benchmarks.planners.objectives import hopeless
from benchmarks.planners.shipped import build, planner_configs
from benchmarks.planners.solving import solve
from planners.types import Budget

SMALL = {
    "num_samples": 32,
    "num_iterations": 3,
    "init_std": 0.5,
    "warm_std": 0.2,
    "min_std": 0.05,
    "noise_exponent": 0.0,
    "num_knots": None,
}


@pytest.fixture(params=["cem", "icem", "mppi"])
def planner(request):
    return build(planner_configs()[request.param], **SMALL)


def test_without_any_finite_cost_the_search_stays_where_it_is(planner, lqr):
    _, state = solve(planner, lqr.objective(lqr.starts), lqr.bounds)
    proposal = torch.full((8, 3, 2), 0.5)  # would draw the mean, if anything did
    _, after = solve(planner, hopeless, lqr.bounds, state=state, proposals=[proposal])
    assert torch.equal(after.mean, state.mean)
    assert torch.equal(after.std, state.std.clamp(min=0.2))
    assert torch.equal(after.plan, state.plan)


def test_the_std_keeps_its_floor(planner, lqr):
    _, state = solve(replace(planner, num_iterations=30), lqr.objective(lqr.starts), lqr.bounds)
    assert state.std.min() == pytest.approx(0.05)


def test_the_returned_mean_is_the_cheapest_mean(planner, lqr, record):
    objective = record(lqr.objective(lqr.starts))
    plan, state = solve(replace(planner, return_mean=True), objective, lqr.bounds)
    cold, *later = objective.candidates  # the mean of a cold start is its last plan
    means = torch.stack([cold[:, 0], *(candidates[:, 0] for candidates in later)], dim=1)
    assert torch.equal(means[:, -1], state.mean)
    cost, cheapest = lqr.objective(lqr.starts)(means).cost.min(dim=1)
    torch.testing.assert_close(plan.cost, cost)
    assert torch.equal(plan.actions, means[range(8), cheapest])
    assert plan.num_evaluations == 3 * 32 + 1


@pytest.mark.parametrize("planner", ["icem", "mppi"], indirect=True)
@pytest.mark.parametrize(("num_evaluations", "sizes"), [(40, [32, 7, 1]), (33, [32, 1]), (32, [31, 1]), (1, [1])])
def test_the_last_evaluation_of_a_budget_is_for_the_mean(planner, lqr, record, num_evaluations, sizes):
    objective = record(lqr.objective(lqr.starts))
    _, state = solve(planner, objective, lqr.bounds, budget=Budget(num_evaluations))
    assert [candidates.shape[1] for candidates in objective.candidates] == sizes
    torch.testing.assert_close(objective.candidates[-1][:, 0], state.mean)


def test_proposals_last_plan_and_mean_are_the_first_candidates(planner, lqr, record):
    plan, state = solve(planner, lqr.objective(lqr.starts), lqr.bounds)
    proposal = torch.full((8, 3, 2), 0.5)
    objective = record(lqr.objective(lqr.starts))
    solve(planner, objective, lqr.bounds, state=state, proposals=[proposal])
    first, *later = objective.candidates
    assert torch.equal(first[:, 0], proposal)
    assert torch.equal(first[:, 1], plan.actions)
    assert torch.equal(first[:, 2], state.mean)
    assert not any((candidates == proposal[:, None]).all(dim=(2, 3)).any() for candidates in later)
