import math
from dataclasses import astuple, replace

import pytest
import torch

from benchmarks.planners.objectives import priced
from benchmarks.planners.solving import solve
from planners.cem import CEM
from planners.types import Budget

CEM_SMALL = CEM(
    num_samples=32,
    num_iterations=3,
    num_elites=4,
    init_std=0.5,
    warm_std=0.2,
    min_std=0.05,
    momentum=0.1,
    noise_exponent=0.0,
    num_knots=None,
    return_mean=False,
)


@pytest.mark.parametrize("return_mean", [False, True])
def test_cem_comes_within_one_percent_of_the_riccati_optimum(lqr, return_mean):
    cem = CEM(
        num_samples=1000,
        num_iterations=25,
        num_elites=50,
        init_std=0.5,
        warm_std=0.5,
        min_std=0.002,
        momentum=0.0,
        noise_exponent=0.0,
        num_knots=None,
        return_mean=return_mean,
    )
    plan, _ = solve(cem, lqr.objective(lqr.starts), lqr.bounds, horizon=10)
    optimal = lqr.optimal_actions(lqr.starts, horizon=10)
    assert optimal.abs().max() < 0.9  # the optimum is inside the bounds
    assert (plan.cost <= 1.01 * lqr.optimum(lqr.starts)).all()
    assert (plan.cost >= (1 - 1e-5) * lqr.optimum(lqr.starts)).all()


def test_an_iteration_fits_the_gaussian_to_the_cheapest(lqr, record):
    cem = replace(CEM_SMALL, num_iterations=1, min_std=1e-6)
    objective = record(lqr.objective(lqr.starts))
    _, state = solve(cem, objective, lqr.bounds)
    (candidates,) = objective.candidates
    cost = lqr.objective(lqr.starts)(candidates).cost
    for problem in range(8):
        elites = candidates[problem, cost[problem].argsort()[:4]]
        torch.testing.assert_close(state.mean[problem], 0.9 * elites.mean(dim=0))
        torch.testing.assert_close(state.std[problem], 0.9 * elites.std(dim=0, correction=0) + 0.1 * 0.5)


def test_the_samples_of_a_cold_start_have_the_initial_std(lqr, record):
    cem = replace(CEM_SMALL, num_samples=20_000, num_iterations=1, init_std=0.2)
    objective = record(lqr.objective(lqr.starts[:1]))
    solve(cem, objective, lqr.bounds, seeds=[0])
    (candidates,) = objective.candidates
    assert candidates.mean(dim=1).abs().max() < 0.01
    torch.testing.assert_close(candidates.std(dim=1), torch.full((1, 3, 2), 0.2), rtol=0.03, atol=0)


def test_a_warm_start_explores_new_steps_widely_and_known_ones_narrowly(lqr, record):
    cem = replace(CEM_SMALL, num_samples=20_000, num_elites=100, warm_std=0.1, init_std=0.2)
    _, state = solve(cem, lqr.objective(lqr.starts[:1]), lqr.bounds, seeds=[0])
    objective = record(lqr.objective(lqr.starts[:1]))
    solve(cem, objective, lqr.bounds, seeds=[1], state=cem.shift(state, 1))
    std = objective.candidates[0].std(dim=1)
    torch.testing.assert_close(std[:, :-1], torch.full((1, 2, 2), 0.1), rtol=0.03, atol=0)
    torch.testing.assert_close(std[:, -1], torch.full((1, 2), 0.2), rtol=0.03, atol=0)


def test_the_first_candidate_stands_in_for_elites_without_a_cost(lqr, record):
    cem = replace(CEM_SMALL, num_iterations=1, momentum=0.0, init_std=1.0)
    objective = record(lambda actions: priced(torch.where(torch.arange(32) == 9, 1.0, math.nan).expand(8, 32)))
    plan, state = solve(cem, objective, lqr.bounds)
    (candidates,) = objective.candidates
    elites = candidates[:, [9, 0, 0, 0]]
    assert torch.equal(plan.actions, candidates[:, 9])
    torch.testing.assert_close(state.mean, elites.mean(dim=1))
    torch.testing.assert_close(state.std, elites.std(dim=1, correction=0).clamp(min=cem.min_std))


def test_the_only_evaluation_is_for_what_was_proposed(lqr):
    best = lqr.optimal_actions(lqr.starts, 3)
    cem = replace(CEM_SMALL, return_mean=True)
    plan, _ = solve(cem, lqr.objective(lqr.starts), lqr.bounds, budget=Budget(1), proposals=[best])
    assert torch.equal(plan.actions, best)
    assert plan.num_evaluations == 1


def test_a_lucky_sample_is_not_the_returned_mean(lqr):
    def price_samples_low(actions):
        is_sample = torch.arange(actions.shape[1]) >= 2  # after the last plan and the mean
        return priced(torch.where(is_sample, -1.0, 0.0).expand(8, -1))

    plan, _ = solve(replace(CEM_SMALL, num_iterations=1, return_mean=True), price_samples_low, lqr.bounds)
    assert torch.equal(plan.cost, torch.zeros(8))


def test_where_no_mean_has_a_cost_the_best_proposal_is_returned(lqr):
    proposals = [torch.full((8, 3, 2), 0.5), torch.full((8, 3, 2), -0.5)]

    def price_only_proposals(actions):
        cost = actions.sum(dim=(2, 3))
        return priced(torch.where(cost.abs() == 3.0, cost, math.nan))

    plan, _ = solve(replace(CEM_SMALL, return_mean=True), price_only_proposals, lqr.bounds, proposals=proposals)
    assert torch.equal(plan.actions, proposals[1])


def test_a_budget_takes_iterations_from_the_end(lqr, record):
    objective = record(lqr.objective(lqr.starts))
    plan, _ = solve(CEM_SMALL, objective, lqr.bounds, budget=Budget(40))
    full, _ = solve(CEM_SMALL, lqr.objective(lqr.starts), lqr.bounds)
    assert [candidates.shape[1] for candidates in objective.candidates] == [32, 8]
    assert torch.equal(plan.cost_history[0], full.cost_history[0])


def test_an_iteration_cut_short_keeps_its_share_of_elites(lqr, record):
    cem = replace(CEM_SMALL, momentum=0.0)
    objective = record(lqr.objective(lqr.starts))
    _, state = solve(cem, objective, lqr.bounds, budget=Budget(16))
    (candidates,) = objective.candidates
    cost = lqr.objective(lqr.starts)(candidates).cost
    for problem in range(8):
        elites = candidates[problem, cost[problem].argsort()[:2]]
        torch.testing.assert_close(state.mean[problem], elites.mean(dim=0))


def test_a_longer_horizon_begins_where_the_shorter_stood_and_ends_as_a_cold_start(lqr):
    _, state = solve(CEM_SMALL, lqr.objective(lqr.starts), lqr.bounds)
    longer, cold = CEM_SMALL.resize(state, 5), CEM_SMALL.init(lqr.bounds, batch_size=8, horizon=5)
    for before, after, fresh in zip(astuple(state), astuple(longer), astuple(cold), strict=True):
        assert torch.equal(after[..., :3, :], before)
        assert torch.equal(after[..., 3:, :], fresh[..., 3:, :])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_elites": 33}, "num_elites must be in 2..num_samples=32, got 33"),
        ({"num_elites": 1}, "num_elites must be in 2..num_samples=32, got 1"),
        ({"num_iterations": 0}, "num_iterations must be at least 1, got 0"),
        ({"min_std": 0.0}, "0 < min_std <= warm_std <= init_std, got min_std=0.0, warm_std=0.2, init_std=0.5"),
        ({"warm_std": 0.6}, "warm_std=0.6, init_std=0.5"),
        ({"init_std": math.nan}, "init_std=nan"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CEM_SMALL, **change)


def test_more_proposals_than_samples_are_refused_in_one_sentence(lqr):
    proposals = [torch.zeros(8, 3, 2)] * 32
    with pytest.raises(
        ValueError, match=r"num_samples must be at least 33 to hold 32 proposals and the last plan, got 32"
    ):
        solve(CEM_SMALL, lqr.objective(lqr.starts), lqr.bounds, proposals=proposals)
