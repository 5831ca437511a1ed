from dataclasses import replace

import pytest
import torch

from benchmarks.planners.grid_world import GOALS, STARTS, make_grid_world
from benchmarks.planners.objectives import hopeless, priced
from benchmarks.planners.solving import solve
from planners.categorical_cem import CategoricalCEM
from planners.types import ActionBounds, Budget

CEM_SMALL = CategoricalCEM(
    num_levels=3,
    num_samples=64,
    num_iterations=3,
    num_elites=6,
    warm_exploration=0.4,
    min_exploration=0.1,
    momentum=0.25,
)


def frequency(candidates, choices):
    """Returns how often each choice is taken at each step, `[batch, horizon, num_choices]`."""
    return (candidates[:, :, :, None] == choices).all(dim=4).float().mean(dim=1)


def test_categorical_cem_equals_dynamic_programming_on_a_grid_with_walls():
    grid = make_grid_world()
    cell_cost = torch.stack([grid.steps_to(goal) for goal in GOALS])
    cem = CategoricalCEM(
        num_levels=3,
        num_samples=1000,
        num_iterations=40,
        num_elites=10,
        warm_exploration=0.3,
        min_exploration=0.005,
        momentum=0.8,
    )
    plan, _ = solve(cem, grid.objective(STARTS, cell_cost), grid.bounds, seeds=range(7), horizon=24)
    assert torch.equal(plan.cost, grid.optimum(STARTS, cell_cost, horizon=24))


def test_an_iteration_moves_the_probabilities_to_how_often_the_cheapest_take_each_choice(lqr, record):
    cem = replace(CEM_SMALL, num_iterations=1)
    objective = record(lqr.objective(lqr.starts))
    _, state = solve(cem, objective, lqr.bounds)
    (candidates,) = objective.candidates
    cost = lqr.objective(lqr.starts)(candidates).cost
    for problem in range(8):
        elites = candidates[problem, cost[problem].argsort()[:6]]
        expected = 0.75 * frequency(elites[None], lqr.bounds.grid(3))[0] + 0.25 / 9
        torch.testing.assert_close(state.probabilities[problem], expected)
    torch.testing.assert_close(state.probabilities.sum(dim=2), torch.ones(8, 3))


def test_samples_take_each_choice_as_often_as_its_probability_and_its_share_of_exploration(lqr, record):
    cem = replace(CEM_SMALL, num_samples=20_000, num_elites=100, num_iterations=2, warm_exploration=1.0)
    choices = lqr.bounds.grid(3)
    objective = record(lqr.objective(lqr.starts[:1]))
    _, state = solve(replace(cem, num_iterations=1), objective, lqr.bounds, seeds=[0])
    solve(cem, objective, lqr.bounds, seeds=[0])
    _, cold, second = objective.candidates
    torch.testing.assert_close(frequency(cold, choices), torch.full((1, 3, 9), 1 / 9), rtol=0, atol=0.01)
    expected = 0.9 * state.probabilities + 0.1 / 9
    torch.testing.assert_close(frequency(second, choices), expected, rtol=0, atol=0.01)


def test_no_choice_ever_dies_out(lqr, record):
    cem = replace(CEM_SMALL, num_samples=20_000, num_iterations=6, momentum=0.0)
    objective = record(lambda actions: priced(actions.square().sum(dim=(2, 3))))
    solve(cem, objective, lqr.bounds, seeds=[0])
    rarest = frequency(objective.candidates[-1], lqr.bounds.grid(3)).amin(dim=2)
    torch.testing.assert_close(rarest, torch.full((1, 3), 0.1 / 9), rtol=0.3, atol=0)


def test_a_warm_start_samples_what_was_likely_and_explores_new_steps_evenly(lqr, record):
    cem = replace(CEM_SMALL, num_samples=20_000, num_elites=100)
    choices = lqr.bounds.grid(3)
    _, state = solve(cem, lqr.objective(lqr.starts[:1]), lqr.bounds, seeds=[0])
    objective = record(lqr.objective(lqr.starts[:1]))
    solve(cem, objective, lqr.bounds, seeds=[1], state=cem.shift(state, 1))
    found = frequency(objective.candidates[0], choices)
    torch.testing.assert_close(found[:, :-1], 0.6 * state.probabilities[:, 1:] + 0.4 / 9, rtol=0, atol=0.01)
    torch.testing.assert_close(found[:, -1], torch.full((1, 9), 1 / 9), rtol=0, atol=0.01)


def test_proposals_last_plan_and_likeliest_choices_are_the_first_candidates(lqr, record):
    before, state = solve(CEM_SMALL, lqr.objective(lqr.starts), lqr.bounds)
    proposal = torch.full((8, 3, 2), 0.3)
    objective = record(lqr.objective(lqr.starts))
    solve(CEM_SMALL, objective, lqr.bounds, state=state, proposals=[proposal])
    first, second, _ = objective.candidates
    likeliest = lqr.bounds.grid(3)[state.probabilities.argmax(dim=2)]
    assert torch.equal(first[:, 0], proposal)
    torch.testing.assert_close(first[:, 1], before.actions)
    assert torch.equal(first[:, 2], likeliest)
    assert torch.equal(
        second, lqr.bounds.grid(3)[torch.cdist(second, lqr.bounds.grid(3).expand(8, 64, 9, 2)).argmin(3)]
    )


def test_an_elite_between_the_choices_counts_as_the_nearest(lqr):
    proposals = [torch.tensor([0.6, -0.4]).expand(8, 3, 2)]
    cem = replace(CEM_SMALL, num_iterations=1, momentum=0.0)

    def price_only_the_proposal(actions):
        return priced(torch.where(actions[:, :, 0, 0] == 0.6, 1.0, torch.nan))

    _, state = solve(cem, price_only_the_proposal, lqr.bounds, proposals=proposals)
    nearest = (lqr.bounds.grid(3) == torch.tensor([1.0, 0.0])).all(dim=1).float()
    torch.testing.assert_close(state.probabilities, nearest.expand(8, 3, 9))


def test_without_any_finite_cost_the_search_stays_where_it_is(lqr):
    _, state = solve(CEM_SMALL, lqr.objective(lqr.starts), lqr.bounds)
    _, after = solve(CEM_SMALL, hopeless, lqr.bounds, state=state)
    assert torch.equal(after.probabilities, state.probabilities)
    assert torch.equal(after.last.plan, state.last.plan)


def test_a_budget_takes_iterations_from_the_end(lqr, record):
    objective = record(lqr.objective(lqr.starts))
    solve(CEM_SMALL, objective, lqr.bounds, budget=Budget(80))
    assert [candidates.shape[1] for candidates in objective.candidates] == [64, 16]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_levels": 1}, "num_levels must be at least 2, got 1"),
        ({"num_iterations": 0}, "num_iterations must be at least 1, got 0"),
        ({"num_elites": 65}, "num_elites must be in 2..num_samples=64, got 65"),
        ({"min_exploration": 0.0}, "0 < min_exploration <= warm_exploration <= 1, got min_exploration=0.0"),
        ({"warm_exploration": 1.1}, "warm_exploration=1.1"),
        ({"momentum": 1.0}, r"momentum must be in \[0, 1\), got 1.0"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CEM_SMALL, **change)


def test_a_grid_too_big_to_enumerate_is_refused_in_one_sentence():
    bounds = ActionBounds(low=-torch.ones(9), high=torch.ones(9))
    with pytest.raises(ValueError, match="at most 10000 actions, got 3 levels in each of 9 dimensions: 19683 actions"):
        CEM_SMALL.init(bounds, batch_size=1, horizon=3)


def test_more_proposals_than_samples_are_refused_in_one_sentence(lqr):
    with pytest.raises(
        ValueError, match=r"num_samples must be at least 65 to hold 64 proposals and the last plan, got 64"
    ):
        solve(CEM_SMALL, lqr.objective(lqr.starts), lqr.bounds, proposals=[torch.zeros(8, 3, 2)] * 64)
