import math
from dataclasses import replace

import pytest
import torch

from benchmarks.planners.objectives import priced
from benchmarks.planners.solving import solve
from planners.mppi import MPPI, softmin_weights

MPPI_SMALL = MPPI(
    num_samples=32,
    num_iterations=3,
    num_elites=None,
    temperature=0.2,
    init_std=0.5,
    warm_std=0.2,
    min_std=0.05,
    noise_exponent=0.0,
    num_knots=None,
    return_mean=False,
)


@pytest.mark.parametrize("return_mean", [False, True])
def test_mppi_comes_within_one_percent_of_the_riccati_optimum(lqr, return_mean):
    mppi = replace(
        MPPI_SMALL, num_samples=256, num_iterations=30, temperature=0.1, min_std=0.002, return_mean=return_mean
    )
    plan, _ = solve(mppi, lqr.objective(lqr.starts), lqr.bounds, horizon=10)
    assert (plan.cost <= 1.01 * lqr.optimum(lqr.starts)).all()
    assert (plan.cost >= (1 - 1e-5) * lqr.optimum(lqr.starts)).all()


@pytest.mark.parametrize(
    "cost",
    [[1.0, 2.0, 4.0], [5.0, 5.0, 5.0], [1.0, math.inf, 3.0], [math.inf, 2.0, math.inf], [math.inf] * 3, [1e30, 0, 1]],
)
@pytest.mark.parametrize("temperature", [1e-6, 0.1, 1e6])
def test_the_weights_sum_to_1(cost, temperature):
    weights = softmin_weights(torch.tensor([cost]), temperature)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights >= 0).all()


def test_the_weights_are_a_softmax_in_units_of_the_mean_excess():
    cost = [3.0, 4.0, 6.0, 7.0]  # 2 more than the cheapest on average
    expected = torch.tensor([math.exp(-(it - 3.0) / (0.5 * 2.0)) for it in cost])
    torch.testing.assert_close(softmin_weights(torch.tensor([cost]), 0.5)[0], expected / expected.sum())


def test_what_has_no_cost_has_no_weight_and_sets_no_scale():
    with_unpriced = softmin_weights(torch.tensor([[3.0, math.inf, 4.0, 8.0, math.inf]]), 0.3)
    assert with_unpriced[0, [1, 4]].tolist() == [0.0, 0.0]
    assert torch.equal(with_unpriced[:, [0, 2, 3]], softmin_weights(torch.tensor([[3.0, 4.0, 8.0]]), 0.3))


def test_a_higher_temperature_averages_more():
    cost = torch.randn(1, 50, generator=torch.Generator().manual_seed(0))
    effective = [1 / softmin_weights(cost, temperature).square().sum() for temperature in (0.01, 0.1, 0.3, 1.0, 10.0)]
    assert effective == sorted(effective)
    assert effective[0] < 2
    assert effective[-1] > 49


def test_towards_temperature_0_the_mean_is_the_best_candidate(lqr, record):
    objective = record(lqr.objective(lqr.starts))
    _, state = solve(replace(MPPI_SMALL, num_iterations=1, temperature=1e-6), objective, lqr.bounds)
    candidates = objective.candidates[0]
    best = lqr.objective(lqr.starts)(candidates).cost.argmin(dim=1)
    torch.testing.assert_close(state.mean, candidates[range(8), best])


def test_towards_an_infinite_temperature_the_mean_is_that_of_all_candidates(lqr, record):
    objective = record(lqr.objective(lqr.starts))
    _, state = solve(replace(MPPI_SMALL, num_iterations=1, temperature=1e6), objective, lqr.bounds)
    torch.testing.assert_close(state.mean, objective.candidates[0].mean(dim=1), rtol=1e-4, atol=1e-4)


def test_neither_the_unit_of_the_cost_nor_its_zero_changes_the_plan(lqr):
    plan, _ = solve(MPPI_SMALL, lqr.objective(lqr.starts), lqr.bounds)
    moved, _ = solve(MPPI_SMALL, lambda actions: priced(1024 * lqr.objective(lqr.starts)(actions).cost), lqr.bounds)
    assert torch.equal(moved.actions, plan.actions)
    weights = softmin_weights(torch.tensor([[1.0, 2.0, 5.0]]), 0.1)
    assert torch.equal(softmin_weights(torch.tensor([[101.0, 102.0, 105.0]]), 0.1), weights)


def test_an_iteration_moves_the_gaussian_by_the_weights(lqr, record):
    mppi = replace(MPPI_SMALL, num_iterations=1, min_std=1e-6, init_std=0.5)
    objective = record(lqr.objective(lqr.starts))
    _, state = solve(mppi, objective, lqr.bounds)
    candidates = objective.candidates[0]
    weights = softmin_weights(lqr.objective(lqr.starts)(candidates).cost, 0.2)
    torch.testing.assert_close(state.mean, torch.einsum("bn,bnhd->bhd", weights, candidates))
    variance = torch.einsum("bn,bnhd->bhd", weights, candidates.square())  # around the centre that it started from
    torch.testing.assert_close(state.std, variance.sqrt().clamp(max=0.5))


def test_with_elites_only_the_cheapest_move_the_gaussian(lqr, record):
    objective = record(lqr.objective(lqr.starts))
    plan, state = solve(replace(MPPI_SMALL, num_iterations=1, num_elites=4, temperature=1e6), objective, lqr.bounds)
    candidates = objective.candidates[0]
    cost = lqr.objective(lqr.starts)(candidates).cost
    for problem in range(8):
        elites = candidates[problem, cost[problem].argsort()[:4]]
        torch.testing.assert_close(state.mean[problem], elites.mean(dim=0), rtol=1e-4, atol=1e-5)
        assert torch.equal(plan.elites[problem], elites)


def test_a_least_std_of_the_initial_keeps_the_std_as_in_the_paper(lqr):
    mppi = replace(MPPI_SMALL, min_std=0.3, warm_std=0.3, init_std=0.3)
    _, state = solve(mppi, lqr.objective(lqr.starts), lqr.bounds)
    torch.testing.assert_close(state.std, torch.full((8, 3, 2), 0.3))


def test_the_only_candidate_with_a_cost_is_where_the_search_goes(lqr):
    def price_one(actions):
        return priced(torch.where(torch.arange(actions.shape[1]) == 9, 1.0, math.nan).expand(8, -1))

    plan, state = solve(replace(MPPI_SMALL, num_iterations=1), price_one, lqr.bounds)
    torch.testing.assert_close(state.mean, plan.actions)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_samples": 1}, "num_samples must be at least 2, got 1"),
        ({"num_iterations": 0}, "num_iterations must be at least 1, got 0"),
        ({"num_elites": 33}, "num_elites must be a whole number in 2..num_samples=32, or null, got 33"),
        ({"num_elites": 1}, "num_elites must be a whole number in 2..num_samples=32, or null, got 1"),
        ({"temperature": 0.0}, "temperature must be above 0 and finite, got 0.0"),
        ({"temperature": math.nan}, "temperature must be above 0 and finite, got nan"),
        ({"warm_std": 0.6}, "warm_std=0.6, init_std=0.5"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        replace(MPPI_SMALL, **change)


def test_costs_near_the_end_of_the_numbers_have_weights():
    cost = torch.tensor([[1e38, 2e38, 3e38, math.inf, 1.0]])
    weights = softmin_weights(cost, 0.15)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(1))
    assert weights.argmax() == 4
