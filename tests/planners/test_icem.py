import math
from dataclasses import replace

import pytest
import torch

from benchmarks.planners.objectives import hopeless, priced
from benchmarks.planners.solving import solve
from planners.icem import ICEM

ICEM_SMALL = ICEM(
    num_samples=32,
    num_iterations=3,
    population_decay=1.25,
    num_elites=4,
    num_kept=2,
    init_std=0.5,
    warm_std=0.2,
    min_std=0.05,
    momentum=0.1,
    noise_exponent=0.0,
    num_knots=None,
    return_mean=False,
)


def contains(candidates, sequence):
    """Returns whether one of `[batch, num_samples, ...]` is `[batch, ...]`, for each problem."""
    return (candidates == sequence[:, None]).flatten(2).all(dim=2).any(dim=1)


@pytest.mark.parametrize("return_mean", [False, True])
def test_icem_comes_within_one_percent_of_the_riccati_optimum(lqr, return_mean):
    icem = replace(
        ICEM_SMALL,
        num_samples=128,
        num_iterations=60,
        population_decay=1.0,
        num_elites=8,
        num_kept=4,
        warm_std=0.5,
        min_std=0.002,
        momentum=0.0,
        return_mean=return_mean,
    )
    plan, _ = solve(icem, lqr.objective(lqr.starts), lqr.bounds, horizon=10)
    assert (plan.cost <= 1.01 * lqr.optimum(lqr.starts)).all()
    assert (plan.cost >= (1 - 1e-5) * lqr.optimum(lqr.starts)).all()


def test_the_population_decays_as_in_the_paper(lqr, record):
    icem = replace(ICEM_SMALL, num_samples=100, num_iterations=8, num_elites=15)
    objective = record(lqr.objective(lqr.starts))
    plan, _ = solve(icem, objective, lqr.bounds)
    sizes = [max(int(100 / 1.25**iteration), 2 * 15) for iteration in range(8)]
    assert sizes == [100, 80, 64, 51, 40, 32, 30, 30]
    assert [candidates.shape[1] for candidates in objective.candidates] == [*sizes, 1]
    assert plan.num_evaluations == sum(sizes) + 1


def test_an_iteration_fits_the_gaussian_to_the_cheapest(lqr, record):
    icem = replace(ICEM_SMALL, num_iterations=1, min_std=1e-6)
    objective = record(lqr.objective(lqr.starts))
    _, state = solve(icem, objective, lqr.bounds)
    candidates = objective.candidates[0]
    cost = lqr.objective(lqr.starts)(candidates).cost
    for problem in range(8):
        elites = candidates[problem, cost[problem].argsort()[:4]]
        from_centre = elites.square().mean(dim=0).sqrt()  # where they were drawn around
        torch.testing.assert_close(state.mean[problem], 0.9 * elites.mean(dim=0))
        torch.testing.assert_close(state.std[problem], 0.9 * from_centre + 0.1 * 0.5)
        torch.testing.assert_close(state.kept[problem], elites[:2])


def test_kept_elites_compete_with_the_cost_that_is_known(lqr, record):
    def objective(actions):
        cost = lqr.objective(lqr.starts)(actions).cost
        return priced(cost if len(recorded.candidates) == 1 else torch.full_like(cost, 1e9))

    recorded = record(objective)
    icem = replace(ICEM_SMALL, num_kept=4)
    plan, state = solve(icem, recorded, lqr.bounds)
    first, *later = recorded.candidates
    cost = lqr.objective(lqr.starts)(first).cost
    for problem in range(8):
        assert torch.equal(plan.elites[problem], first[problem, cost[problem].argsort()[:4]])
    torch.testing.assert_close(state.kept, plan.elites)
    for elite in plan.elites.unbind(1):
        assert not any(contains(candidates, elite).any() for candidates in later)  # never priced again


def test_without_kept_elites_the_best_of_an_iteration_is_forgotten_by_the_next(lqr):
    plan, state = solve(replace(ICEM_SMALL, num_kept=0), lqr.objective(lqr.starts), lqr.bounds)
    assert state.kept.shape == (8, 0, 3, 2)
    kept, _ = solve(ICEM_SMALL, lqr.objective(lqr.starts), lqr.bounds)
    assert not torch.equal(plan.actions, kept.actions)


def test_shifted_elites_are_priced_in_the_next_call_with_a_new_end_each(lqr, record):
    _, state = solve(ICEM_SMALL, lqr.objective(lqr.starts), lqr.bounds)
    objective = record(lqr.objective(-lqr.starts))
    solve(ICEM_SMALL, objective, lqr.bounds, state=ICEM_SMALL.shift(state, 1), seeds=range(8, 16))
    shifted = objective.candidates[0][:, 2:4]  # after the last plan and the mean
    torch.testing.assert_close(shifted[:, :, :-1], state.kept[:, :, 1:])
    assert (shifted[:, 0, -1] != shifted[:, 1, -1]).all()
    assert (shifted[:, :, -1] != 0).all()


def test_a_cold_start_spends_nothing_on_elites_that_it_does_not_have(lqr, record):
    objective = record(lqr.objective(lqr.starts[:1]))
    solve(ICEM_SMALL, objective, lqr.bounds, seeds=[0])
    first = objective.candidates[0][0].flatten(1)
    assert len(first.unique(dim=0)) == 32 - 1  # the last plan is the mean


def test_the_samples_of_a_warm_start_have_at_least_the_warm_std(lqr, record):
    icem = replace(ICEM_SMALL, num_samples=20_000, num_elites=100, warm_std=0.1, init_std=0.2)
    _, state = solve(icem, lqr.objective(lqr.starts[:1]), lqr.bounds, seeds=[0])
    objective = record(lqr.objective(lqr.starts[:1]))
    solve(icem, objective, lqr.bounds, seeds=[1], state=icem.shift(state, 1))
    std = objective.candidates[0].std(dim=1)
    torch.testing.assert_close(std[:, :-1], torch.full((1, 2, 2), 0.1), rtol=0.1, atol=0)
    torch.testing.assert_close(std[:, -1], torch.full((1, 2), 0.2), rtol=0.1, atol=0)


def test_elites_without_a_cost_are_not_kept(lqr):
    def price_one(actions):
        return priced(torch.where(torch.arange(actions.shape[1]) == 9, 1.0, math.nan).expand(8, -1))

    plan, state = solve(replace(ICEM_SMALL, num_iterations=1), price_one, lqr.bounds)
    torch.testing.assert_close(state.kept[:, 0], plan.actions)
    assert state.kept[:, 1].isnan().all()


def test_without_any_finite_cost_no_elites_are_kept(lqr):
    _, state = solve(ICEM_SMALL, lqr.objective(lqr.starts), lqr.bounds)
    _, after = solve(ICEM_SMALL, hopeless, lqr.bounds, state=state)
    assert after.kept.isnan().all()


def test_a_longer_horizon_begins_where_the_shorter_stood_and_ends_as_a_cold_start(lqr):
    _, state = solve(ICEM_SMALL, lqr.objective(lqr.starts), lqr.bounds)
    longer = ICEM_SMALL.resize(state, 5)
    torch.testing.assert_close(longer.kept[:, :, :3], state.kept)
    assert longer.kept[:, :, 3:].isnan().all()
    assert torch.equal(longer.mean, ICEM_SMALL.resize(longer, 5).mean)
    assert (longer.std[:, 3:] == ICEM_SMALL.init_std).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_iterations": 0}, "num_iterations must be at least 1, got 0"),
        ({"population_decay": 0.9}, "population_decay must be at least 1 and finite, got 0.9"),
        ({"num_elites": 17}, "num_elites must be at least 2 and at most half of num_samples=32, got 17"),
        ({"num_elites": 1}, "num_elites must be at least 2 and at most half of num_samples=32, got 1"),
        ({"num_kept": 5}, "num_kept must be in 0..num_elites=4, got 5"),
        ({"warm_std": 0.6}, "warm_std=0.6, init_std=0.5"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        replace(ICEM_SMALL, **change)
