from dataclasses import replace

import pytest
import torch

from benchmarks.planners.solving import solve
from planners.cem import CEM
from planners.random_shooting import RandomShooting

SHOOTING = RandomShooting(num_samples=256, num_iterations=4, noise_exponent=0.0, num_knots=None)


@pytest.mark.parametrize("change", [{}, {"noise_exponent": 2.0}, {"num_knots": 3}])
def test_each_action_alone_is_uniform_in_the_box(lqr, change):
    shooting = replace(SHOOTING, num_samples=20_000, num_iterations=1, **change)
    noise = shooting.sample_noise([torch.Generator().manual_seed(0)], bounds=lqr.bounds, horizon=5)
    assert noise.abs().max() <= 1
    quantiles = torch.tensor([0.1, 0.25, 0.5, 0.75, 0.9])
    found = noise[0, 0].quantile(quantiles, dim=0)  # [num_quantiles, horizon, action_dim]
    torch.testing.assert_close(found, (2 * quantiles - 1)[:, None, None].expand(-1, 5, 2), rtol=0, atol=0.04)


def test_noise_of_a_high_exponent_is_correlated_from_step_to_step(lqr):
    def correlation(shooting):
        noise = shooting.sample_noise([torch.Generator().manual_seed(0)], bounds=lqr.bounds, horizon=5)
        return torch.corrcoef(noise[0, 0, :, 2:4, 0].T)[0, 1]

    many = replace(SHOOTING, num_samples=20_000, num_iterations=1)
    assert correlation(many).abs() < 0.02
    assert correlation(replace(many, noise_exponent=2.0)) > 0.3


def test_the_plan_is_the_cheapest_of_all_candidates(lqr, record):
    objective = record(lqr.objective(lqr.starts))
    plan, _ = solve(SHOOTING, objective, lqr.bounds)
    candidates = torch.cat(objective.candidates, dim=1)
    cost, index = lqr.objective(lqr.starts)(candidates).cost.min(dim=1)
    assert torch.equal(plan.actions, candidates[range(8), index])
    torch.testing.assert_close(plan.cost, cost)
    assert plan.num_evaluations == 4 * 256


def test_proposals_and_last_plan_are_the_first_candidates(lqr, record):
    before, state = solve(SHOOTING, lqr.objective(lqr.starts), lqr.bounds)
    proposal = torch.full((8, 3, 2), 0.5)
    objective = record(lqr.objective(lqr.starts))
    solve(SHOOTING, objective, lqr.bounds, state=state, proposals=[proposal])
    assert torch.equal(objective.candidates[0][:, 0], proposal)
    torch.testing.assert_close(objective.candidates[0][:, 1], before.actions)
    assert [candidates.shape[1] for candidates in objective.candidates] == [256] * 4
    assert not any((later == proposal[:, None]).all(dim=(2, 3)).any() for later in objective.candidates[1:])


def test_the_elites_are_the_best_of_each_iteration(lqr, record):
    objective = record(lqr.objective(lqr.starts))
    plan, _ = solve(SHOOTING, objective, lqr.bounds)
    for iteration, candidates in enumerate(objective.candidates):
        best = lqr.objective(lqr.starts)(candidates).cost.argmin(dim=1)
        assert torch.equal(plan.elites[:, iteration], candidates[range(8), best])


def test_random_shooting_is_the_floor_beside_the_optimum_and_cem(lqr):
    cem = CEM(
        num_samples=256,
        num_iterations=4,
        num_elites=12,
        init_std=1.0,
        warm_std=0.5,
        min_std=0.02,
        momentum=0.1,
        noise_exponent=0.0,
        num_knots=None,
        return_mean=False,
    )
    floor, _ = solve(SHOOTING, lqr.objective(lqr.starts), lqr.bounds, horizon=10)
    plan, _ = solve(cem, lqr.objective(lqr.starts), lqr.bounds, horizon=10)
    assert (floor.cost >= lqr.optimum(lqr.starts)).all()
    assert floor.cost.mean() > plan.cost.mean()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_samples": 0}, "num_samples must be at least 1, got 0"),
        ({"num_iterations": 0}, "num_iterations must be at least 1, got 0"),
        ({"noise_exponent": 5.0}, r"noise_exponent must be in \[0, 4\], got 5.0"),
        ({"num_knots": 0}, "num_knots must be a whole number of at least 1, or null, got 0"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SHOOTING, **change)


def test_more_proposals_than_samples_are_refused_in_one_sentence(lqr):
    shooting = replace(SHOOTING, num_samples=2)
    with pytest.raises(
        ValueError, match=r"num_samples must be at least 3 to hold 2 proposals and the last plan, got 2"
    ):
        solve(shooting, lqr.objective(lqr.starts), lqr.bounds, proposals=[torch.zeros(8, 3, 2)] * 2)
