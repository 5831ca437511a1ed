import math

import pytest
import torch

from benchmarks.planners.objectives import priced
from planners.evaluator import Evaluator
from planners.types import Budget, Score

ACTIONS = torch.zeros(2, 3, 4, 1)


def price(objective, actions):
    return Evaluator(objective, Budget()).price(actions)


def energy(actions):
    return priced(actions.square().sum(dim=(2, 3)))


def test_what_is_not_finite_becomes_infinite():
    cost = torch.tensor([[math.nan, math.inf, -math.inf], [-1.0, 0.0, 1e30]])
    violations = torch.full((2, 3, 1), math.nan)
    score = price(lambda actions: Score(cost=cost, violations=violations), ACTIONS)
    assert score.cost.tolist() == [[math.inf] * 3, cost[1].tolist()]
    assert torch.equal(score.violations, torch.full((2, 3, 1), math.inf))


@pytest.mark.parametrize(
    ("cost_shape", "violations_shape", "message"),
    [
        ((2,), (2, 3, 0), r"cost \[batch, num_samples\] = \[2, 3\], got \[2\]"),
        ((2, 3, 1), (2, 3, 0), r"cost \[batch, num_samples\] = \[2, 3\], got \[2, 3, 1\]"),
        ((3, 2), (2, 3, 0), r"got \[3, 2\]"),
        ((2, 3), (2, 3), r"violations .* = \[2, 3, 'num_constraints'\], got \[2, 3\]"),
    ],
)
def test_a_score_of_the_wrong_shape_is_refused_in_one_sentence(cost_shape, violations_shape, message):
    score = Score(cost=torch.zeros(cost_shape), violations=torch.zeros(violations_shape))
    with pytest.raises(ValueError, match=message):
        price(lambda actions: score, ACTIONS)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int64, torch.bool])
def test_what_is_real_is_reckoned_with_in_the_type_of_the_actions(dtype):
    score = Score(cost=torch.tensor([[0, 1, 1]] * 2).to(dtype), violations=torch.ones(2, 3, 1).to(dtype))
    checked = price(lambda actions: score, ACTIONS)
    assert checked.cost.dtype == checked.violations.dtype == ACTIONS.dtype
    assert checked.cost.tolist() == [[0.0, 1.0, 1.0]] * 2
    assert torch.equal(checked.violations, torch.ones(2, 3, 1))


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (priced(torch.zeros(2, 3, dtype=torch.complex64)), "real costs and violations, got torch.complex64 and"),
        (torch.zeros(2, 3), r"must return a Score of two tensors, got tensor\("),
        (Score(cost=[0.0], violations=torch.zeros(2, 3, 0)), r"must return a Score of two tensors, got Score\(cost=\["),
    ],
)
def test_what_is_no_score_is_refused_in_one_sentence(score, message):
    with pytest.raises(ValueError, match=message):
        price(lambda actions: score, ACTIONS)


def test_an_objective_that_changes_what_it_is_given_changes_no_candidate():
    def greedy(actions):
        return energy(actions.add_(1.0))

    candidates = torch.zeros(2, 3, 4, 1)
    for chunk_size in (None, 2):
        evaluator = Evaluator(greedy, Budget(chunk_size=chunk_size))
        assert torch.equal(evaluator.price(candidates).cost, torch.full((2, 3), 4.0))
        cost, gradient = evaluator.price_with_gradient(candidates)
        assert torch.equal(cost, torch.full((2, 3), 4.0))
        assert torch.equal(gradient, torch.full_like(candidates, 2.0))
    assert not candidates.any()


def test_the_gradient_is_that_of_each_candidate_and_counts_three():
    evaluator = Evaluator(energy, Budget())
    actions = torch.randn(2, 3, 4, 1, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        cost, gradient = evaluator.price_with_gradient(actions)
    assert torch.equal(gradient, 2 * actions)
    assert torch.equal(cost, energy(actions).cost)
    assert evaluator.num_evaluations == 9


def test_a_gradient_that_is_not_finite_is_none():
    actions = torch.tensor([-1.0, 4.0])[None, :, None, None]
    _, gradient = Evaluator(lambda it: priced(it.sqrt().sum(dim=(2, 3))), Budget()).price_with_gradient(actions)
    assert gradient.flatten().tolist() == [0.0, 0.25]


def test_a_cost_without_a_gradient_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match="need a cost that is differentiable in the actions, got one without"):
        Evaluator(lambda actions: energy(actions.detach()), Budget()).price_with_gradient(ACTIONS)


def test_where_no_cost_is_finite_none_need_have_a_gradient():
    hopeless = priced(torch.full((2, 3), math.nan))
    cost, gradient = Evaluator(lambda actions: hopeless, Budget()).price_with_gradient(ACTIONS)
    assert torch.equal(cost, torch.full((2, 3), math.inf))
    assert torch.equal(gradient, torch.zeros_like(ACTIONS))


@pytest.mark.parametrize("chunk_size", [None, 1, 2])
def test_a_function_of_several_variables_is_differentiated_in_each(chunk_size):
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 3, 4, 1, generator=generator), torch.randn(2, 3, 5, generator=generator)
    evaluator = Evaluator(energy, Budget(chunk_size=chunk_size))
    cost, (by_first, by_second) = evaluator.differentiate(
        lambda first, second: priced(first.sum(dim=(2, 3)) * second.square().sum(dim=2)), first, second
    )
    torch.testing.assert_close(cost, first.sum(dim=(2, 3)) * second.square().sum(dim=2))
    torch.testing.assert_close(by_first, second.square().sum(dim=2)[:, :, None, None].expand_as(first))
    torch.testing.assert_close(by_second, 2 * first.sum(dim=(2, 3))[:, :, None] * second)
    assert evaluator.num_evaluations == 9


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_a_rollout_shows_where_candidates_lead_and_what_that_costs(lqr, chunk_size):
    objective = lqr.objective(lqr.starts)
    actions = torch.randn(8, 3, 4, 2, generator=torch.Generator().manual_seed(0))
    evaluator = Evaluator(objective, Budget(chunk_size=chunk_size))
    states, cost = evaluator.rollout(objective, actions)
    torch.testing.assert_close(states, objective.rollout(actions))
    torch.testing.assert_close(cost, objective(actions).cost)
    assert evaluator.num_evaluations == 3


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 4])
def test_chunks_come_back_in_order(chunk_size):
    actions = torch.arange(3.0)[None, :, None, None]
    evaluator = Evaluator(energy, Budget(chunk_size=chunk_size))
    assert evaluator.price(actions).cost.tolist() == [[0.0, 1.0, 4.0]]
    assert evaluator.price_with_gradient(actions)[1].flatten().tolist() == [0.0, 2.0, 4.0]


def test_evaluations_are_granted_while_they_last():
    evaluator = Evaluator(energy, Budget(num_evaluations=7))
    assert evaluator.grant(3) == 3
    evaluator.price(ACTIONS)
    assert evaluator.grant(9, reserved=1) == 3
    evaluator.charge(4)
    assert evaluator.grant(1) == 0


def test_no_iteration_begins_that_would_probably_end_late(monkeypatch):
    now = 0.0
    monkeypatch.setattr("time.perf_counter", lambda: now)
    evaluator = Evaluator(energy, Budget(milliseconds=35))
    granted = []
    while evaluator.grant(3):
        evaluator.price(ACTIONS)
        now += 0.010
        granted.append(now)
    assert granted == pytest.approx([0.010, 0.020, 0.030])


def test_time_that_was_charged_is_that_of_no_iteration(monkeypatch):
    times = iter([0.0, 0.030, 0.030])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    evaluator = Evaluator(energy, Budget(milliseconds=35))
    evaluator.charge(96)
    assert evaluator.grant(3) == 3


def test_the_first_candidates_are_priced_however_late(monkeypatch):
    times = iter([0.0, 9.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(times))
    assert Evaluator(energy, Budget(milliseconds=1)).grant(3) == 3


def test_a_gradient_is_small_enough_to_be_squared():
    _, gradient = Evaluator(lambda actions: priced(1e30 * actions.sum(dim=(2, 3))), Budget()).price_with_gradient(
        ACTIONS
    )
    assert gradient.square().isfinite().all()
    assert (gradient > 1e18).all()
