import math

import pytest
import torch

from planners.types import ActionBounds, Budget, Plan, Score, evaluate

ACTIONS = torch.zeros(2, 3, 4, 1)


def bounds_of(low, high):
    return ActionBounds(low=torch.tensor(low), high=torch.tensor(high))


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        ([1.0], [-1.0], r"low must be below high, got low=\[1.0\], high=\[-1.0\]"),
        ([0.0], [0.0], "low must be below high"),
        ([-math.inf], [1.0], r"bounds must be finite, got low=\[-inf\]"),
        ([0.0], [math.nan], "bounds must be finite"),
        ([0.0], [1.0, 1.0], r"two vectors \[action_dim\], got \[1\] and \[2\]"),
        (0.0, 1.0, r"two vectors \[action_dim\], got \[\] and \[\]"),
        ([-1], [1], "one floating-point type, got torch.int64 and torch.int64"),
    ],
)
def test_bad_bounds_are_refused_in_one_sentence(low, high, message):
    with pytest.raises(ValueError, match=message):
        bounds_of(low, high)


def test_units_of_the_box_go_from_low_to_high():
    bounds = bounds_of([-1.0, 2.0], [1.0, 10.0])
    assert torch.equal(bounds.from_unit(-torch.ones(2)), bounds.low)
    assert torch.equal(bounds.from_unit(torch.zeros(2)), bounds.center)
    assert torch.equal(bounds.from_unit(torch.ones(2)), bounds.high)


def test_units_of_the_box_are_inverted():
    bounds = bounds_of([-0.1, 1 / 3], [0.3, 0.7])
    values = torch.rand(5, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(bounds.to_unit(bounds.from_unit(values)), values)


def test_rounding_does_not_leave_the_bounds():
    generator = torch.Generator().manual_seed(0)
    low = torch.randn(1000, generator=generator)
    bounds = ActionBounds(low=low, high=low + torch.rand(1000, generator=generator) + 1e-3)
    actions = bounds.from_unit(torch.tensor([[-1.0], [1.0], [2.0]]).expand(3, 1000))
    assert (actions >= bounds.low).all()
    assert (actions <= bounds.high).all()


@pytest.mark.parametrize(("wished", "allowed", "expected"), [(10, None, 10), (10, 3, 3), (10, 30, 10)])
def test_a_budget_caps(wished, allowed, expected):
    assert Budget(allowed).cap(wished) == expected


def test_an_empty_budget_is_refused():
    with pytest.raises(ValueError, match="num_evaluations must be a whole number of at least 1, or None, got 0"):
        Budget(0)


def test_a_plan_says_where_nothing_was_found():
    cost = torch.tensor([1.0, math.inf])
    plan = Plan(actions=torch.zeros(2, 1, 1), cost=cost, cost_history=cost[None], num_evaluations=1)
    assert plan.found.tolist() == [True, False]


def test_what_is_not_finite_becomes_infinite():
    cost = torch.tensor([[math.nan, math.inf, -math.inf], [-1.0, 0.0, 1e30]])
    violations = torch.full((2, 3, 1), math.nan)
    score = evaluate(lambda actions: Score(cost=cost, violations=violations), ACTIONS)
    assert score.cost.tolist() == [[math.inf] * 3, cost[1].tolist()]
    assert torch.equal(score.violations, torch.full((2, 3, 1), math.inf))


def test_gradients_pass_the_gate():
    actions = torch.ones(2, 3, 4, 1, requires_grad=True)
    score = evaluate(lambda a: Score(cost=a.square().sum(dim=(2, 3)), violations=torch.zeros(2, 3, 0)), actions)
    (gradient,) = torch.autograd.grad(score.cost.sum(), actions)
    assert torch.equal(gradient, 2 * torch.ones(2, 3, 4, 1))


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
        evaluate(lambda actions: score, ACTIONS)
