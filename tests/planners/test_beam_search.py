from dataclasses import replace

import pytest
import torch

from benchmarks.planners.grid_world import GOALS, STARTS, make_grid_world
from benchmarks.planners.objectives import priced
from benchmarks.planners.solving import solve
from planners.beam_search import BeamSearch
from planners.types import ActionBounds, Budget

BEAM = BeamSearch(num_levels=3, beam_width=4)


@pytest.mark.parametrize("beam_width", [1, 16])
def test_beam_search_equals_dynamic_programming_on_a_grid_with_walls(beam_width):
    grid = make_grid_world()
    cell_cost = torch.stack([grid.steps_to(goal) for goal in GOALS])
    beam = replace(BEAM, beam_width=beam_width)
    plan, _ = solve(beam, grid.objective(STARTS, cell_cost), grid.bounds, seeds=range(7), horizon=24)
    assert torch.equal(plan.cost, grid.optimum(STARTS, cell_cost, horizon=24))


def test_a_beam_that_drops_no_beginning_equals_dynamic_programming_for_any_cost():
    grid = make_grid_world()
    cell_cost = torch.randn(8, 12, 12, generator=torch.Generator().manual_seed(0))
    starts = [(1, 1), (3, 3), (5, 10), (8, 8), (10, 3), (11, 5), (6, 0), (0, 11)]
    optimum = grid.optimum(starts, cell_cost, horizon=5)
    exact, _ = solve(
        BeamSearch(num_levels=3, beam_width=5**4), grid.objective(starts, cell_cost), grid.bounds, horizon=5
    )
    narrow, _ = solve(BeamSearch(num_levels=3, beam_width=1), grid.objective(starts, cell_cost), grid.bounds, horizon=5)
    torch.testing.assert_close(exact.cost, optimum)
    assert (narrow.cost >= optimum - 1e-5).all()
    assert narrow.cost.mean() > optimum.mean() + 0.1


def test_a_cost_that_only_the_end_shows_is_found_by_a_beam_that_drops_nothing():
    bounds = ActionBounds(low=-torch.ones(1), high=torch.ones(1))
    secret = torch.tensor([1.0, -1.0, 1.0, 1.0])

    def price_the_end(actions):
        return priced(1 - (actions[..., 0] == secret).all(dim=2).float())

    plan, _ = solve(BeamSearch(num_levels=3, beam_width=27), price_the_end, bounds, seeds=[0], horizon=4)
    assert torch.equal(plan.actions[0, :, 0], secret)


def test_beginnings_go_on_as_the_cheapest_of_proposals_and_last_plan(lqr, record):
    best = lqr.optimal_actions(lqr.starts, horizon=3)
    objective = record(lqr.objective(lqr.starts))
    solve(BEAM, objective, lqr.bounds, proposals=[-best, best])
    given, *levels = objective.candidates
    assert [candidates.shape[1] for candidates in objective.candidates] == [3, 9, 36, 36]
    assert torch.equal(given, torch.stack([-best, best, torch.zeros(8, 3, 2)], dim=1))
    for step, candidates in enumerate(levels):
        assert torch.equal(
            candidates[:, :, step + 1 :], best[:, None, step + 1 :].expand_as(candidates[:, :, step + 1 :])
        )
        assert (candidates[:, :, : step + 1, None] == lqr.bounds.grid(3)).all(dim=4).any(dim=3).all()


def test_each_step_expands_the_cheapest_beginnings_by_every_choice(lqr, record):
    objective = record(lqr.objective(lqr.starts))
    plan, _ = solve(BEAM, objective, lqr.bounds)
    _, *levels = objective.candidates
    for step in (1, 2):
        cost = lqr.objective(lqr.starts)(levels[step - 1]).cost
        for problem in range(8):
            kept = levels[step - 1][problem, cost[problem].argsort(stable=True)[:4], :step]
            found = levels[step][problem].view(4, 9, 3, 2)
            assert torch.equal(found[:, :, :step], kept[:, None].expand(4, 9, step, 2))
            assert torch.equal(found[:, :, step], lqr.bounds.grid(3).expand(4, 9, 2))
    assert plan.elites.shape[1] == 4


def test_a_budget_expands_the_cheapest_beginnings_first(lqr, record):
    objective, full = record(lqr.objective(lqr.starts)), record(lqr.objective(lqr.starts))
    solve(BEAM, objective, lqr.bounds, budget=Budget(30))
    solve(BEAM, full, lqr.bounds)
    assert [candidates.shape[1] for candidates in objective.candidates] == [1, 9, 20]
    assert torch.equal(objective.candidates[2], full.candidates[2][:, :20])


def test_the_plan_never_costs_more_than_the_last_one(lqr):
    state, costs = None, []
    for _ in range(3):
        plan, state = solve(replace(BEAM, beam_width=1), lqr.objective(lqr.starts), lqr.bounds, state=state)
        costs.append(plan.cost)
    assert (costs[1] <= costs[0]).all()
    assert (costs[2] <= costs[1]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_levels": 1}, "num_levels must be at least 2, got 1"),
        ({"beam_width": 0}, "beam_width must be at least 1, got 0"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        replace(BEAM, **change)


def test_a_grid_too_big_to_enumerate_is_refused_in_one_sentence():
    bounds = ActionBounds(low=-torch.ones(9), high=torch.ones(9))
    with pytest.raises(ValueError, match="at most 10000 actions, got 3 levels in each of 9 dimensions: 19683 actions"):
        solve(BEAM, lambda actions: priced(actions.sum(dim=(2, 3))), bounds)


def test_the_grid_world_knows_its_distances():
    grid = make_grid_world()
    steps = grid.steps_to((5, 11))
    assert steps[5, 11] == 0
    assert steps[5, 7] == 22  # 4 columns away, and around the pocket
    d = steps[5, 7]
    assert grid.optimum([(5, 7)], steps[None], horizon=30) == d * (d - 1) / 2
