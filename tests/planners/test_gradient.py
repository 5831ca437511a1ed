import math
from dataclasses import replace

import pytest
import torch

from benchmarks.planners.objectives import priced
from benchmarks.planners.solving import solve
from planners.adam import Adam
from planners.gradient import Gradient
from planners.types import ActionBounds, Budget

GRADIENT = Gradient(
    num_restarts=3,
    num_steps=200,
    optimizer=Adam(learning_rate=0.1, beta1=0.7, beta2=0.9),
    init_std=0.5,
    noise_exponent=0.0,
    num_knots=None,
)


def test_it_comes_within_a_hundredth_of_a_percent_of_the_riccati_optimum(lqr):
    patient = replace(GRADIENT, optimizer=replace(GRADIENT.optimizer, learning_rate=0.02))
    plan, _ = solve(patient, lqr.objective(lqr.starts), lqr.bounds, horizon=10)
    assert (plan.cost <= 1.0001 * lqr.optimum(lqr.starts)).all()
    assert plan.num_evaluations == 3 * (3 * 200 + 1)


def test_the_starts_are_the_proposals_the_last_plan_and_noise_around_it(lqr, record):
    plan, state = solve(GRADIENT, lqr.objective(lqr.starts), lqr.bounds)
    objective = record(lqr.objective(lqr.starts))
    proposal = torch.full((8, 3, 2), 0.5)
    solve(replace(GRADIENT, num_restarts=2_000), objective, lqr.bounds, state=state, proposals=[proposal])
    first = objective.candidates[0]
    assert torch.equal(first[:, 0], proposal)
    torch.testing.assert_close(first[:, 1], plan.actions)
    inside = plan.actions.abs() < 0.3  # where the bounds cut hardly any noise
    assert ((first[:, 2:].mean(dim=1) - plan.actions).abs()[inside] < 0.1).all()


def test_a_step_follows_the_gradient_in_units_of_the_box():
    bounds = ActionBounds(low=torch.tensor([-1.0, -100.0]), high=torch.tensor([1.0, 300.0]))
    one_step = replace(GRADIENT, num_restarts=1, num_steps=1)
    plan, _ = solve(one_step, lambda actions: priced(actions.sum(dim=(2, 3))), bounds, seeds=[0])
    torch.testing.assert_close(plan.actions, torch.tensor([-0.1, 100.0 - 0.1 * 200.0]).expand(1, 3, 2))


def test_the_optimum_on_the_bounds_is_found():
    bounds = ActionBounds(low=-torch.ones(2), high=torch.ones(2))
    target = torch.tensor([2.0, 0.5])
    plan, _ = solve(GRADIENT, lambda actions: priced((actions - target).square().sum(dim=(2, 3))), bounds)
    torch.testing.assert_close(plan.actions, torch.tensor([1.0, 0.5]).expand(8, 3, 2), rtol=0, atol=1e-3)


def test_the_best_iterate_is_kept(lqr, record):
    restless = replace(GRADIENT, num_restarts=1, optimizer=Adam(learning_rate=0.9, beta1=0.0, beta2=0.0))
    objective = record(lqr.objective(lqr.starts))
    plan, _ = solve(restless, objective, lqr.bounds)
    costs = torch.cat([lqr.objective(lqr.starts)(it).cost for it in objective.candidates], dim=1)
    torch.testing.assert_close(plan.cost, costs.amin(dim=1))
    assert (plan.cost < costs[:, -1]).any()


def test_several_starts_find_the_deeper_valley():
    bounds = ActionBounds(low=-torch.ones(1), high=torch.ones(1))

    def double_well(actions):
        first = actions[:, :, 0, 0]
        return priced((first.square() - 0.25).square() - 0.02 * first)

    left = torch.full((8, 1, 1), -0.4)
    alone, _ = solve(replace(GRADIENT, num_restarts=2), double_well, bounds, horizon=1, proposals=[left])
    several, _ = solve(replace(GRADIENT, num_restarts=16), double_well, bounds, horizon=1, proposals=[left])
    deeper = double_well(torch.full((8, 1, 1, 1), 0.5)).cost[:, 0]
    assert (several.cost <= deeper).all()
    assert (several.cost <= alone.cost + 1e-6).all()


@pytest.mark.parametrize(("num_evaluations", "priced_each"), [(2, [2]), (11, [3]), (12, [3, 3]), (24, [3, 3, 3])])
def test_a_budget_takes_steps_from_the_end(lqr, record, num_evaluations, priced_each):
    objective = record(lqr.objective(lqr.starts))
    solve(GRADIENT, objective, lqr.bounds, budget=Budget(num_evaluations))
    assert [it.shape[1] for it in objective.candidates] == priced_each


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_restarts": 0}, "num_restarts must be at least 1, got 0"),
        ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
        ({"init_std": 0.0}, "init_std must be above 0 and finite, got 0.0"),
        ({"init_std": math.nan}, "init_std must be above 0 and finite, got nan"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        replace(GRADIENT, **change)


def test_more_proposals_than_restarts_are_refused_in_one_sentence(lqr):
    with pytest.raises(
        ValueError, match="num_restarts must be at least 4 to hold 3 proposals and the last plan, got 3"
    ):
        solve(GRADIENT, lqr.objective(lqr.starts), lqr.bounds, proposals=[torch.zeros(8, 3, 2)] * 3)
