from dataclasses import replace

import pytest
import torch

from benchmarks.planners.objectives import priced
from benchmarks.planners.solving import solve
from planners.adam import Adam
from planners.cem import CEM
from planners.cem_gradient import CEMGradient
from planners.types import Budget

SEARCH = CEM(
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
PLANNER = CEMGradient(
    search=SEARCH, num_refined=3, num_steps=200, optimizer=Adam(learning_rate=0.05, beta1=0.7, beta2=0.9)
)


def test_it_comes_within_a_hundredth_of_a_percent_of_the_riccati_optimum(lqr):
    plan, _ = solve(PLANNER, lqr.objective(lqr.starts), lqr.bounds, horizon=10)
    assert (plan.cost <= 1.0001 * lqr.optimum(lqr.starts)).all()


def test_the_descent_starts_from_the_plan_of_the_search_and_its_elites(lqr, record):
    objective = record(lqr.objective(lqr.starts))
    solve(PLANNER, objective, lqr.bounds)
    found, _ = solve(SEARCH, lqr.objective(lqr.starts), lqr.bounds)
    starts = objective.candidates[3]
    assert torch.equal(starts[:, 0], found.actions)
    assert torch.equal(starts[:, 1:], found.elites[:, 1:3])


def test_the_history_of_the_search_goes_on_in_the_descent(lqr):
    plan, _ = solve(PLANNER, lqr.objective(lqr.starts), lqr.bounds)
    found, _ = solve(SEARCH, lqr.objective(lqr.starts), lqr.bounds)
    assert torch.equal(plan.cost_history[:3], found.cost_history)
    assert len(plan.cost_history) == 3 + 200 + 1
    assert plan.num_evaluations == 3 * 32 + 3 * (3 * 200 + 1)


@pytest.mark.parametrize(
    ("num_evaluations", "priced_each"),
    [(40, [32, 8]), (96, [32, 32, 32]), (98, [32, 32, 32, 2]), (110, [32, 32, 32, 3, 3])],
)
def test_a_budget_takes_from_the_descent_first(lqr, record, num_evaluations, priced_each):
    objective = record(lqr.objective(lqr.starts))
    solve(PLANNER, objective, lqr.bounds, budget=Budget(num_evaluations))
    assert [it.shape[1] for it in objective.candidates] == priced_each


def test_a_budget_of_time_is_shared(lqr, monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)

    def slow(actions):
        nonlocal now
        now += 0.010
        return lqr.objective(lqr.starts)(actions)

    plan, _ = solve(PLANNER, slow, lqr.bounds, budget=Budget(milliseconds=75))
    assert plan.num_evaluations == 3 * 32 + 4 * 3 * 3
    assert now == pytest.approx(0.070)


def test_what_the_search_found_stays_where_the_descent_finds_nothing(lqr):
    def rugged(actions):
        return priced(actions.square().sum(dim=(2, 3)) + 10 * (1e4 * actions.detach().sum(dim=(2, 3))).sin().abs())

    plan, _ = solve(replace(PLANNER, num_steps=5), rugged, lqr.bounds)
    found, _ = solve(SEARCH, rugged, lqr.bounds)
    assert (plan.cost <= found.cost).all()
    torch.testing.assert_close(plan.cost, rugged(plan.actions[:, None]).cost[:, 0], rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_refined": 5}, r"num_refined must be in 1..search.num_elites=4, got 5"),
        ({"num_refined": 0}, r"num_refined must be in 1..search.num_elites=4, got 0"),
        ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        replace(PLANNER, **change)
