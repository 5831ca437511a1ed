from dataclasses import replace

import pytest
import torch
from hydra.utils import instantiate
from torch.func import hessian, jacrev

from agent.run.config.building import build
from agent.run.config.composing import compose_config
from benchmarks.planners.objectives import FunctionObjective
from benchmarks.planners.solving import solve
from planners.augmented_lagrangian import AugmentedLagrangian, augment
from planners.cem import CEM
from planners.types import Budget, Planner, Score, TrajectoryObjective

HORIZON, LIMIT = 3, 0.1
CEM_SMALL = CEM(
    num_samples=128,
    num_iterations=6,
    num_elites=10,
    init_std=0.5,
    warm_std=0.1,
    min_std=0.001,
    momentum=0.0,
    noise_exponent=0.0,
    num_knots=None,
    return_mean=False,
)
SMALL = AugmentedLagrangian(
    planner=CEM_SMALL,
    num_rounds=4,
    num_finalists=8,
    worthwhile=200,
    init_penalty=10.0,
    penalty_growth=3.0,
    tolerance=1e-3,
)


def effort(actions):
    return actions.square().sum(dim=(2, 3))


def limited(objective, limit=LIMIT):
    """Returns the objective with the constraint that the sum of the squared actions is at most the limit."""

    def price(actions):
        return Score(cost=objective(actions).cost, violations=(effort(actions) - limit)[:, :, None])

    return FunctionObjective(price)


def limited_optimum(objective, num_problems, limit=LIMIT):
    """Returns the cost and the multiplier that satisfy Karush, Kuhn and Tucker, `[batch]` each.

    The cost is `u H u / 2 + g u + c`, so that the optimum is `u(m) = -(H + 2 m)^-1 g` with the multiplier `m` for which
    its square is the limit, or 0 where the free optimum keeps it.
    """
    costs, multipliers = [], []
    for problem in range(num_problems):

        def cost(flat, problem=problem):
            actions = flat.view(1, 1, HORIZON, 2).expand(num_problems, -1, -1, -1)
            return objective(actions).cost[problem, 0]

        start = torch.zeros(2 * HORIZON)
        curvature, slope = hessian(cost)(start).double(), jacrev(cost)(start).double()

        def optimum(multiplier, curvature=curvature, slope=slope):
            return -torch.linalg.solve(curvature + 2 * multiplier * torch.eye(len(slope)), slope)

        low, high = 0.0, 1e4
        for _ in range(100):
            middle = (low + high) / 2
            low, high = (middle, high) if optimum(middle).square().sum() > limit else (low, middle)
        costs.append(cost(optimum(high).float()))
        multipliers.append(torch.tensor(high if high > 1e-9 else 0.0))
    return torch.stack(costs), torch.stack(multipliers)


def test_the_plan_is_the_constrained_optimum_and_the_multipliers_are_its_price(lqr):
    objective = lqr.objective(lqr.starts)
    optimum, multipliers = limited_optimum(objective, 8)
    assert (multipliers > 0).sum() >= 4  # the constraint binds
    state = None
    for call in range(3):
        plan, state = solve(SMALL, limited(objective), lqr.bounds, seeds=range(8 * call, 8 * call + 8), state=state)
    assert (effort(plan.actions[:, None])[:, 0] <= LIMIT + 1e-3).all()
    assert (plan.cost <= 1.01 * optimum).all()
    assert (plan.cost >= optimum - (multipliers + 1e-6) * 1e-3 - 1e-5).all()  # what the tolerance is worth
    torch.testing.assert_close(state.multipliers[:, 0], multipliers, rtol=0.2, atol=0.05)


@pytest.mark.parametrize("name", ["cem", "cem_gradient", "gradient", "icem", "mppi"])
def test_any_planner_keeps_the_constraint_and_comes_near_the_optimum(lqr, name):
    objective = lqr.objective(lqr.starts)
    optimum, _ = limited_optimum(objective, 8)
    planner = replace(SMALL, planner=instantiate(compose_config([f"planner={name}"]).values.planner))
    state = None
    for call in range(3):
        plan, state = solve(planner, limited(objective), lqr.bounds, seeds=range(8 * call, 8 * call + 8), state=state)
    assert (effort(plan.actions[:, None])[:, 0] <= LIMIT + 1e-3).all()
    assert (plan.cost <= 1.05 * optimum).all()


def test_the_shipped_wrapper_is_a_planner(lqr):
    wrapper = build(compose_config([]).values.constraints, planner=CEM_SMALL)
    assert isinstance(wrapper, Planner)
    plan, _ = solve(wrapper, limited(lqr.objective(lqr.starts)), lqr.bounds)
    assert plan.found.all()


def test_without_constraints_it_is_the_planner_inside(lqr):
    objective = lqr.objective(lqr.starts)
    wrapped, state = solve(SMALL, objective, lqr.bounds)
    alone, inner = solve(CEM_SMALL, objective, lqr.bounds)
    for seeds in (range(8), range(8, 16)):
        assert torch.equal(wrapped.actions, alone.actions)
        assert wrapped.num_evaluations == alone.num_evaluations + 1 + SMALL.num_finalists  # the last plan is priced too
        wrapped, state = solve(SMALL, objective, lqr.bounds, state=state, seeds=seeds)
        alone, inner = solve(CEM_SMALL, objective, lqr.bounds, state=inner, seeds=seeds)


@pytest.mark.parametrize("num_before", [0, 1, 3])
def test_a_set_of_constraints_that_changes_starts_fresh(lqr, num_before):
    objective = lqr.objective(lqr.starts)

    def constrained(actions, num_constraints):
        violations = (effort(actions) - LIMIT)[:, :, None].expand(-1, -1, num_constraints)
        return Score(cost=objective(actions).cost, violations=violations)

    _, state = solve(SMALL, lambda actions: constrained(actions, num_before), lqr.bounds)
    plan, state = solve(SMALL, lambda actions: constrained(actions, 2), lqr.bounds, state=state)
    assert (effort(plan.actions[:, None]) <= LIMIT + 1e-3).all()
    assert state.multipliers.shape == (8, 2)
    optimum, _ = limited_optimum(objective, 8)
    assert (plan.cost <= 1.05 * optimum).all()


@pytest.mark.parametrize("num_evaluations", [1, 2, 3, 15, 37, 128, 511, None])
def test_the_budget_is_respected_to_the_evaluation(lqr, record, num_evaluations):
    objective = record(limited(lqr.objective(lqr.starts)))
    plan, _ = solve(SMALL, objective, lqr.bounds, budget=Budget(num_evaluations))
    assert plan.num_evaluations == objective.num_evaluations
    assert num_evaluations is None or plan.num_evaluations <= num_evaluations
    assert plan.found.all()


@pytest.mark.parametrize("num_evaluations", [1, 2, 3, 15, 64, 512, None])
@pytest.mark.parametrize("name", ["cem", "gradient", "random_shooting"])
def test_a_plan_that_keeps_the_limit_is_never_lost(lqr, name, num_evaluations):
    objective = limited(lqr.objective(lqr.starts))
    planner = replace(SMALL, planner=instantiate(compose_config([f"planner={name}"]).values.planner))
    state, last = None, objective(torch.zeros(8, 1, HORIZON, 2)).cost[:, 0]
    for call in range(4):
        seeds, budget = range(8 * call, 8 * call + 8), Budget(num_evaluations)
        plan, state = solve(planner, objective, lqr.bounds, seeds=seeds, state=state, budget=budget)
        assert (effort(plan.actions[:, None]) <= LIMIT + 1e-3).all()
        assert (plan.cost <= last + 1e-5).all()
        last = plan.cost


def test_a_proposal_that_keeps_the_limit_is_the_plan_where_the_centre_of_the_box_does_not(lqr):
    def objective(actions):
        first = actions[:, :, 0, 0]
        return Score(cost=first, violations=(0.9 - first)[:, :, None])

    proposal = torch.full((8, HORIZON, 2), 0.95)
    plan, state = solve(SMALL, objective, lqr.bounds, budget=Budget(4), proposals=[proposal])
    assert torch.equal(plan.actions, proposal)
    again, _ = solve(SMALL, objective, lqr.bounds, seeds=range(8, 16), budget=Budget(4), state=state)
    torch.testing.assert_close(again.actions, proposal)


def test_the_plan_that_is_remembered_moves_along_the_horizon(lqr):
    plan, state = solve(SMALL, limited(lqr.objective(lqr.starts)), lqr.bounds)
    moved = lqr.bounds.from_unit(SMALL.resize(SMALL.shift(state, 1), HORIZON + 1).last.plan)
    torch.testing.assert_close(moved[:, : HORIZON - 1], plan.actions[:, 1:])
    assert torch.equal(moved[:, HORIZON - 1 :], torch.zeros(8, 2, 2))


@pytest.mark.parametrize(("num_evaluations", "num_rounds"), [(2, 0), (3, 1), (200, 1), (512, 2), (801, 4), (9999, 4)])
def test_a_small_budget_has_few_rounds_that_are_worthwhile(lqr, num_evaluations, num_rounds):
    objective = limited(lqr.objective(lqr.starts))
    plan, _ = solve(SMALL, objective, lqr.bounds, budget=Budget(num_evaluations))
    assert len(plan.cost_history) == 1 + num_rounds


def test_the_time_is_shared_between_the_rounds(lqr, record, monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    objective = limited(lqr.objective(lqr.starts))

    def slow(actions):
        nonlocal now
        now += 0.010
        return objective(actions)

    full, _ = solve(SMALL, slow, lqr.bounds)
    for milliseconds in (55, 95, 135, 205):
        started = now
        short, _ = solve(SMALL, slow, lqr.bounds, budget=Budget(milliseconds=milliseconds))
        assert 0.7 * milliseconds <= 1e3 * (now - started) <= milliseconds
    assert len(short.cost_history) == 1 + SMALL.num_rounds
    least, _ = solve(SMALL, slow, lqr.bounds, budget=Budget(milliseconds=1))
    assert least.num_evaluations == 1  # the last plan
    assert least.num_evaluations < short.num_evaluations < full.num_evaluations


def test_the_plan_costs_what_the_objective_says_and_the_best_so_far_never_rises(lqr):
    objective = limited(lqr.objective(lqr.starts))
    plan, _ = solve(SMALL, objective, lqr.bounds)
    torch.testing.assert_close(plan.cost, objective(plan.actions[:, None]).cost[:, 0])
    assert torch.equal(plan.cost_history[-1], plan.cost)
    assert (plan.cost_history[1:] <= plan.cost_history[:-1]).all()


def test_what_is_priced_and_returned_lies_in_the_bounds(lqr, record):
    bounds = replace(lqr.bounds, max_change=0.2 * torch.ones(2), previous_action=0.9 * torch.ones(8, 2))
    objective = record(limited(lqr.objective(lqr.starts)))
    plan, state = solve(SMALL, objective, bounds, proposals=[torch.full((8, HORIZON, 2), 1e9)])
    solve(SMALL, objective, bounds, state=SMALL.shift(state, 1))
    for actions in [*objective.candidates, plan.actions, plan.elites]:
        assert torch.equal(actions, bounds.clip(actions))


def test_the_same_noise_gives_the_same_plan_and_a_problem_alone_is_that_in_a_batch(lqr):
    first, _ = solve(SMALL, limited(lqr.objective(lqr.starts)), lqr.bounds)
    second, _ = solve(SMALL, limited(lqr.objective(lqr.starts)), lqr.bounds)
    assert torch.equal(first.actions, second.actions)
    for index in range(8):
        alone, _ = solve(SMALL, limited(lqr.objective(lqr.starts[[index]])), lqr.bounds, seeds=[index])
        torch.testing.assert_close(alone.cost[0], first.cost[index], rtol=1e-5, atol=0)


def test_a_limit_that_cannot_be_kept_is_violated_as_little_as_was_found(lqr):
    objective = limited(lqr.objective(lqr.starts), limit=-1.0)
    plan, _ = solve(replace(SMALL, num_rounds=6), objective, lqr.bounds)
    assert plan.found.all()
    assert (effort(plan.actions[:, None]) < 1e-2).all()
    assert torch.isinf(plan.cost_history[:-1]).all()  # never kept


def test_a_candidate_without_a_finite_violation_never_wins(lqr):
    def objective(actions):
        first = actions[:, :, 0, 0]
        return Score(cost=-first, violations=torch.where(first > 0, torch.nan, -1.0)[:, :, None])

    plan, state = solve(SMALL, objective, lqr.bounds)
    assert (plan.actions[:, 0, 0] <= 0).all() and plan.found.all()
    assert torch.isfinite(state.multipliers).all()


def test_multipliers_are_kept_until_all_of_the_horizon_is_new(lqr):
    objective = limited(lqr.objective(lqr.starts))
    _, state = solve(SMALL, objective, lqr.bounds)
    assert (state.multipliers > 0).any()
    kept = SMALL.resize(SMALL.shift(state, 1), 5)
    assert torch.equal(kept.multipliers, state.multipliers)
    assert SMALL.shift(kept, HORIZON).multipliers.any()  # two of five steps are left
    forgotten, _ = solve(SMALL, objective, lqr.bounds, state=SMALL.shift(state, HORIZON))
    fresh, _ = solve(SMALL, objective, lqr.bounds)
    assert torch.equal(forgotten.actions, fresh.actions)


def test_it_shows_states_exactly_where_the_objective_does(lqr):
    objective, multipliers = limited(lqr.objective(lqr.starts)), 0.5 * torch.ones(8, 1)
    actions = lqr.optimal_actions(lqr.starts, HORIZON)[:, None]
    augmented = augment(objective, multipliers, 2.0)
    assert isinstance(augmented, TrajectoryObjective)
    assert not isinstance(augment(objective.function, multipliers, 2.0), TrajectoryObjective)
    states = augmented.rollout(actions)
    torch.testing.assert_close(augmented.predict(states, actions), states)
    assert torch.equal(augmented.price(states, actions).cost, augmented(actions).cost)
    raised = (0.5 + 2.0 * (effort(actions) - LIMIT)).clamp(min=0)
    expected = objective(actions).cost + (raised.square() - 0.25) / 4.0
    torch.testing.assert_close(augmented(actions).cost, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"num_rounds": 5},
        {"num_finalists": 1},
        {"worthwhile": 500},
        {"init_penalty": 20.0},
        {"penalty_growth": 5.0},
        {"tolerance": 0.05},
        {"planner": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_parameter_changes_the_result(lqr, change):
    objective = limited(lqr.objective(lqr.starts))
    change = {"planner": replace(CEM_SMALL, num_elites=11)} if "planner" in change else change
    expected, _ = solve(SMALL, objective, lqr.bounds, budget=Budget(1200))
    plan, _ = solve(replace(SMALL, **change), objective, lqr.bounds, budget=Budget(1200))
    assert not torch.equal(plan.actions, expected.actions)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_rounds": 0}, "num_rounds must be at least 1, got 0"),
        ({"num_finalists": 0}, "num_finalists must be at least 1, got 0"),
        ({"worthwhile": 1}, "worthwhile must be at least 2, got 1"),
        ({"init_penalty": 0.0}, "init_penalty must be above 0 and finite, got 0.0"),
        ({"penalty_growth": 0.5}, "penalty_growth must be at least 1 and finite, got 0.5"),
        ({"tolerance": -1.0}, "tolerance must be at least 0 and finite, got -1.0"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SMALL, **change)


def test_noise_for_another_number_of_rounds_is_refused_in_one_sentence(lqr):
    with pytest.raises(ValueError, match=r"noise must be \[batch, num_rounds, ...\] = \[batch, 4, ...\], got \[8, 6,"):
        SMALL.plan(
            limited(lqr.objective(lqr.starts)),
            SMALL.init(lqr.bounds, batch_size=8, horizon=HORIZON),
            noise=torch.zeros(8, 6, 128, HORIZON, 2),
            bounds=lqr.bounds,
            budget=Budget(),
        )


def test_a_cost_of_the_wrong_shape_is_refused_in_one_sentence(lqr):
    def flat(actions):
        return Score(cost=effort(actions)[:, 0], violations=torch.zeros(8, 0))

    with pytest.raises(ValueError, match=r"must return cost \[batch, num_samples\] = \[8, 1\], got \[8\]$"):
        solve(SMALL, flat, lqr.bounds)
