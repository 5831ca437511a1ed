import math
from dataclasses import replace

import pytest
import torch

from benchmarks.planners.solving import solve
from planners.adam import Adam
from planners.collocation import Collocation
from planners.types import Budget

COLLOCATION = Collocation(
    num_restarts=2,
    num_steps=800,
    rollout_every=10,
    optimizer=Adam(learning_rate=0.02, beta1=0.9, beta2=0.99),
    penalty=10.0,
    multiplier_rate=0.1,
    init_std=0.5,
    noise_exponent=0.0,
    num_knots=None,
)


def test_it_comes_within_a_hundredth_of_a_percent_of_the_riccati_optimum(lqr):
    plan, _ = solve(COLLOCATION, lqr.objective(lqr.starts), lqr.bounds, horizon=10)
    assert (plan.cost <= 1.0001 * lqr.optimum(lqr.starts)).all()
    assert plan.num_evaluations == 2 * (1 + 3 * 800 + 80)


def test_every_step_is_predicted_from_its_own_state(lqr, record):
    objective = record(lqr.objective(lqr.starts))
    plan, _ = solve(replace(COLLOCATION, num_steps=25), objective, lqr.bounds)
    with_gradient = [it for it in objective.candidates if it.shape[1] == 2]
    assert len(with_gradient) == 1 + 25 + 3
    assert plan.num_evaluations == objective.num_evaluations == 2 * (1 + 3 * 25 + 3)


def test_the_plan_is_the_cheapest_that_was_rolled_out(lqr):
    objective = lqr.objective(lqr.starts)
    plan, _ = solve(replace(COLLOCATION, num_steps=30), objective, lqr.bounds)
    torch.testing.assert_close(plan.cost, objective(plan.actions[:, None]).cost[:, 0])
    assert len(plan.cost_history) == 1 + 3


@pytest.mark.parametrize(("num_evaluations", "spent"), [(1, 1), (9, 2), (10, 10), (17, 16)])
def test_a_budget_takes_steps_from_the_end(lqr, num_evaluations, spent):
    plan, _ = solve(COLLOCATION, lqr.objective(lqr.starts), lqr.bounds, budget=Budget(num_evaluations))
    assert plan.num_evaluations == spent


def test_an_objective_without_states_is_refused_in_one_sentence(lqr):
    objective = lqr.objective(lqr.starts)
    with pytest.raises(ValueError, match=r"needs a TrajectoryObjective, which shows states, got function: take grad"):
        solve(COLLOCATION, lambda actions: objective(actions), lqr.bounds)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_steps": 0}, "num_steps must be at least 1, got 0"),
        ({"rollout_every": 0}, "rollout_every must be at least 1, got 0"),
        ({"penalty": 0.0}, "penalty must be above 0 and finite, got 0.0"),
        ({"penalty": math.nan}, "penalty must be above 0 and finite, got nan"),
        ({"multiplier_rate": 0.0}, r"multiplier_rate must be in \(0, 1\], got 0.0"),
        ({"num_restarts": 0}, "num_restarts must be at least 1, got 0"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        replace(COLLOCATION, **change)
