from dataclasses import replace
from functools import partial

import pytest
import torch

from benchmarks.planners import solving
from benchmarks.planners.objectives import priced
from planners.predictive_sampling import PredictiveSampling
from planners.splines import spline_basis
from planners.types import Budget

SAMPLING = PredictiveSampling(num_samples=64, num_iterations=3, num_knots=4, spline_order=1, std=0.2)
solve = partial(solving.solve, horizon=10)


def optimum_of_splines(lqr, basis):
    """Returns the least cost of all splines, `[batch]`, and the spline: the cost is quadratic in the knots."""

    def cost(knots, start):
        return lqr.objective(start[None])((basis @ knots.view(-1, 2))[None, None]).cost.sum()

    best = []
    for start in lqr.starts:
        origin = torch.zeros(basis.shape[1] * 2)
        gradient = torch.autograd.functional.jacobian(lambda knots, start=start: cost(knots, start), origin)
        hessian = torch.autograd.functional.hessian(lambda knots, start=start: cost(knots, start), origin)
        best.append(basis @ torch.linalg.solve(hessian, -gradient).view(-1, 2))
    splines = torch.stack(best)
    return lqr.objective(lqr.starts)(splines[:, None]).cost[:, 0], splines


@pytest.mark.parametrize("spline_order", [0, 1, 3])
@pytest.mark.parametrize("num_knots", [3, 5])
def test_predictive_sampling_comes_within_one_percent_of_the_best_spline(lqr, spline_order, num_knots):
    optimum, splines = optimum_of_splines(lqr, spline_basis(num_knots, 10, order=spline_order).float())
    assert splines.abs().max() < 0.9  # the optimum is inside the bounds
    sampling = replace(
        SAMPLING, num_samples=512, num_iterations=60, num_knots=num_knots, spline_order=spline_order, std=0.03
    )
    plan, _ = solve(sampling, lqr.objective(lqr.starts), lqr.bounds)
    assert (plan.cost <= 1.01 * optimum).all()
    assert (plan.cost >= (1 - 1e-5) * optimum).all()


def test_candidates_are_splines_around_the_spline_nearest_to_the_best_so_far(lqr, record):
    objective = record(lqr.objective(lqr.starts))
    sampling = replace(SAMPLING, std=0.05)
    solve(sampling, objective, lqr.bounds)
    basis = spline_basis(4, 10, order=1).float()
    best = objective.candidates[0][:, :1]  # the last plan
    for candidates in objective.candidates:
        nominal = basis @ torch.linalg.lstsq(basis.expand(8, -1, -1), best[:, 0]).solution
        sampled = candidates[:, -63:]
        knots = torch.linalg.lstsq(basis.expand(8, 63, -1, -1), sampled - nominal[:, None]).solution
        torch.testing.assert_close(basis @ knots, sampled - nominal[:, None], rtol=0, atol=1e-5)
        assert knots.std() == pytest.approx(0.05, rel=0.05)
        known = torch.cat([best, candidates], dim=1)
        best = known[range(8), lqr.objective(lqr.starts)(known).cost.argmin(dim=1)][:, None]


def test_the_std_is_in_units_of_the_box(lqr, record):
    wide = replace(lqr.bounds, low=torch.tensor([-10.0, -1.0]), high=torch.tensor([10.0, 1.0]))
    objective = record(lqr.objective(lqr.starts[:1]))
    solve(replace(SAMPLING, num_samples=20_000, num_iterations=1), objective, wide, seeds=[0])
    std = objective.candidates[0].std(dim=1)
    torch.testing.assert_close(std[0, 0], torch.tensor([2.0, 0.2]), rtol=0.03, atol=0)


def test_candidates_beyond_the_bounds_are_clipped(lqr, record):
    objective = record(lqr.objective(lqr.starts))
    solve(replace(SAMPLING, std=2.0), objective, lqr.bounds)
    assert all(candidates.abs().max() == 1 for candidates in objective.candidates)


def test_proposals_and_last_plan_are_the_first_candidates(lqr, record):
    before, state = solve(SAMPLING, lqr.objective(lqr.starts), lqr.bounds)
    proposal = torch.full((8, 10, 2), 0.5)
    objective = record(lqr.objective(lqr.starts))
    solve(SAMPLING, objective, lqr.bounds, state=state, proposals=[proposal])
    assert torch.equal(objective.candidates[0][:, 0], proposal)
    torch.testing.assert_close(objective.candidates[0][:, 1], before.actions)


def test_a_plan_that_is_no_spline_is_kept_as_it_is_when_it_is_best(lqr):
    best = lqr.optimal_actions(lqr.starts, horizon=10)
    few = replace(SAMPLING, num_knots=2)
    plan, state = solve(few, lqr.objective(lqr.starts), lqr.bounds, proposals=[best])
    torch.testing.assert_close(plan.actions, best)
    again, _ = solve(few, lqr.objective(lqr.starts), lqr.bounds, state=state, seeds=range(8, 16))
    torch.testing.assert_close(again.actions, best)


def test_the_elites_are_the_best_after_each_iteration(lqr):
    plan, _ = solve(SAMPLING, lqr.objective(lqr.starts), lqr.bounds)
    torch.testing.assert_close(lqr.objective(lqr.starts)(plan.elites).cost, plan.cost_history.T)
    assert torch.equal(plan.elites[:, -1], plan.actions)


def test_a_budget_takes_iterations_from_the_end(lqr, record):
    objective = record(lqr.objective(lqr.starts))
    plan, _ = solve(SAMPLING, objective, lqr.bounds, budget=Budget(80))
    full, _ = solve(SAMPLING, lqr.objective(lqr.starts), lqr.bounds)
    assert [candidates.shape[1] for candidates in objective.candidates] == [64, 16]
    assert torch.equal(plan.cost_history[0], full.cost_history[0])


def test_more_knots_than_steps_are_as_many_as_steps(lqr):
    plan, _ = solve(replace(SAMPLING, num_knots=10), lqr.objective(lqr.starts), lqr.bounds)
    more, _ = solve(replace(SAMPLING, num_knots=11), lqr.objective(lqr.starts), lqr.bounds)
    assert torch.equal(plan.actions, more.actions)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_samples": 0}, "num_samples must be at least 1, got 0"),
        ({"num_iterations": 0}, "num_iterations must be at least 1, got 0"),
        ({"num_knots": 0}, "num_knots must be at least 1, got 0"),
        ({"spline_order": 2}, r"spline_order must be one of \(0, 1, 3\), got 2"),
        ({"std": 0.0}, "std must be above 0 and finite, got 0.0"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SAMPLING, **change)


def test_a_best_sequence_that_is_no_spline_is_disturbed_as_its_nearest_spline(lqr, record):
    proposal = torch.tensor([0.5, -0.5]).repeat(5)[None, :, None].expand(8, 10, 2)  # as far from a spline as can be

    def nearest_is_best(actions):
        return priced((actions - proposal[:, None]).square().sum(dim=(2, 3)))

    objective = record(nearest_is_best)
    solve(replace(SAMPLING, num_iterations=2, std=0.01), objective, lqr.bounds, proposals=[proposal])
    samples = objective.candidates[1].double()
    basis = spline_basis(4, 10, order=1)
    torch.testing.assert_close(basis @ (torch.linalg.pinv(basis) @ samples), samples, rtol=0, atol=1e-5)
