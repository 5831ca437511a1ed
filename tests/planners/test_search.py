import pytest
import torch

from benchmarks.planners.objectives import priced
from benchmarks.planners.shipped import build, planner_configs
from benchmarks.planners.solving import solve
from planners.candidates import cheapest
from planners.search import search
from planners.types import ActionBounds, Budget

BOUNDS = ActionBounds(low=torch.zeros(1), high=torch.full((1,), 10.0))
FALLBACK = torch.full((1, 2, 1), 9.0)


class Counting:
    """Asks 1, 2, 3, ... and remembers what it was told."""

    def __init__(self):
        self.asked, self.told = 0, []

    def ask(self, noise):
        values = self.asked + 1.0 + torch.arange(noise.shape[1])
        self.asked += noise.shape[1]
        return values[None, :, None, None].expand(1, -1, 2, 1)

    def tell(self, candidates, cost, *, wanted):
        self.told.append((candidates[0, :, 0, 0].tolist(), cost[0].tolist(), wanted))
        return cheapest(candidates, cost)

    def mean(self):
        return torch.full((1, 1, 2, 1), 7.5)

    def elites(self):
        return torch.full((1, 3, 2, 1), float(len(self.told)))


def run(strategy, cost, *, budget=None, proposals=(), num_samples=3, num_iterations=2, noise=None, **others):
    return search(
        strategy,
        lambda actions: priced(cost(actions[:, :, 0, 0])),
        noise=torch.zeros(1, num_iterations, num_samples, 2, 1) if noise is None else noise,
        bounds=BOUNDS,
        budget=Budget(budget),
        proposals=proposals,
        last_plan=FALLBACK,
        populations=[num_samples] * num_iterations,
        **others,
    )


def test_what_is_given_comes_first_and_what_is_asked_fills_the_rest():
    strategy = Counting()
    plan = run(strategy, lambda first: (first - 4).abs(), proposals=[torch.full((1, 2, 1), 99.0)])
    assert strategy.told == [([10.0, 9.0, 1.0], [6.0, 5.0, 3.0], 3), ([2.0, 3.0, 4.0], [2.0, 1.0, 0.0], 3)]
    assert plan.actions.flatten().tolist() == [4.0, 4.0]
    assert plan.cost_history[:, 0].tolist() == [3.0, 0.0]
    assert plan.num_evaluations == 6
    assert plan.elites.unique().tolist() == [2.0]


@pytest.mark.parametrize(
    ("budget", "sizes"), [(1, [1]), (2, [2]), (3, [3]), (4, [3]), (5, [3, 2]), (6, [3, 3]), (99, [3, 3])]
)
def test_a_budget_cuts_iterations_short_but_never_to_a_single_candidate_after_the_first(budget, sizes):
    strategy = Counting()
    run(strategy, lambda first: first, budget=budget)
    assert [len(candidates) for candidates, _, _ in strategy.told] == sizes


@pytest.mark.parametrize(("budget", "told", "best"), [(1, 0, 9.0), (4, 1, 7.5), (99, 2, 7.5)])
def test_the_last_evaluation_is_for_the_mean_unless_it_is_the_only_one(budget, told, best):
    strategy = Counting()
    plan = run(strategy, lambda first: (first - 7.6).abs(), budget=budget, mean=strategy.mean)
    assert len(strategy.told) == told
    assert plan.actions.unique().tolist() == [best]


def test_random_draws_are_no_plan_where_only_means_are():
    strategy = Counting()
    plan = run(strategy, lambda first: (first - 2.0).abs(), mean=strategy.mean, only_means=True)
    assert plan.actions.unique().tolist() == [1.0]  # the first that was asked, not the second


def test_where_nothing_has_a_cost_the_plan_is_the_last():
    plan = run(Counting(), lambda first: first * torch.nan)
    assert not plan.found.any()
    assert torch.equal(plan.actions, FALLBACK)


def test_noise_for_another_number_of_iterations_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"noise must be .* = \[1, 2, 3, 2\], got \[1, 4, 3, 2, 1\]$"):
        run(Counting(), lambda first: first, noise=torch.zeros(1, 4, 3, 2, 1))


def test_more_proposals_than_samples_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match="num_samples must be at least 4 to hold 3 proposals and the last plan, got 3"):
        run(Counting(), lambda first: first, proposals=[FALLBACK] * 3)


@pytest.mark.parametrize("num_evaluations", [64, 65, 66, 67, 70, 400])
@pytest.mark.parametrize("name", ["cem", "icem", "mppi", "categorical_cem"])
def test_a_search_that_a_budget_cuts_short_is_not_taken_for_decided(lqr, name, num_evaluations):
    planner = build(planner_configs()[name], num_samples=64)
    plan, _ = solve(planner, lqr.objective(lqr.starts), lqr.bounds, budget=Budget(num_evaluations))
    assert plan.num_evaluations <= num_evaluations
    assert plan.elite_spread.mean() > 0
