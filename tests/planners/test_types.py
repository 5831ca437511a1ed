import math

import pytest
import torch

from planners.types import ActionBounds, Budget, Plan


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


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({"num_evaluations": 0}, "num_evaluations must be a whole number of at least 1, or null, got 0"),
        ({"chunk_size": 1.5}, "chunk_size must be a whole number of at least 1, or null, got 1.5"),
        ({"milliseconds": 0.0}, "milliseconds must be above 0 and finite, or null, got 0.0"),
    ],
)
def test_an_empty_budget_is_refused_in_one_sentence(budget, message):
    with pytest.raises(ValueError, match=message):
        Budget(**budget)


def test_a_plan_says_where_nothing_was_found():
    cost = torch.tensor([1.0, math.inf])
    plan = Plan(
        actions=torch.zeros(2, 1, 1),
        cost=cost,
        cost_history=cost[None],
        elites=torch.zeros(2, 1, 1, 1),
        num_evaluations=1,
    )
    assert plan.found.tolist() == [True, False]


def test_the_spread_of_the_elites_is_their_std():
    elites = torch.tensor([[1.0, 3.0], [2.0, 2.0]])[:, :, None, None]
    plan = Plan(
        actions=elites[:, 0], cost=torch.zeros(2), cost_history=torch.zeros(1, 2), elites=elites, num_evaluations=2
    )
    assert plan.elite_spread.tolist() == [1.0, 0.0]


def limited(previous, max_change=0.5):
    return ActionBounds(
        low=-torch.ones(1), high=torch.ones(1), max_change=torch.tensor([max_change]), previous_action=previous
    )


def test_the_rate_is_limited_step_by_step_from_the_previous_action():
    bounds = limited(torch.tensor([[0.0], [-1.0]]))
    actions = torch.tensor([1.0, 1.0, -1.0])[None, :, None].expand(2, 3, 1)
    assert bounds.clip(actions)[:, :, 0].tolist() == [[0.5, 1.0, 0.5], [-0.5, 0.0, -0.5]]
    candidates = actions[:, None].expand(2, 4, 3, 1)
    assert torch.equal(bounds.clip(candidates), bounds.clip(actions)[:, None].expand(2, 4, 3, 1))


def test_a_limited_sequence_is_left_as_it_is():
    bounds = limited(torch.rand(5, 1, generator=torch.Generator().manual_seed(0)), max_change=0.1)
    once = bounds.clip(torch.randn(5, 7, 9, 1, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(bounds.clip(once), once)


def test_a_choice_is_the_nearest_there_is():
    choices = torch.tensor([[-1.0, 0.0], [0.5, 0.5]])
    bounds = ActionBounds(low=-torch.ones(2), high=torch.ones(2), choices=choices)
    actions = torch.tensor([[[0.4, 0.0], [-0.4, 0.0]]])
    assert torch.equal(bounds.clip(actions), choices[[1, 0]][None])
    assert bounds.grid(7) is choices


def test_choices_that_lie_close_together_stay_apart():
    choices = (1000 + 1e-3 * torch.arange(100.0))[:, None]
    bounds = ActionBounds(low=torch.tensor([0.0]), high=torch.tensor([2000.0]), choices=choices)
    assert torch.equal(bounds.clip(choices[None]), choices[None])


def test_a_grid_has_every_combination_of_levels():
    grid = bounds_of([-1.0, 2.0], [1.0, 4.0]).grid(3)
    assert sorted(grid.tolist()) == [[a, b] for a in (-1.0, 0.0, 1.0) for b in (2.0, 3.0, 4.0)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_change": torch.ones(2)}, "max_change and previous_action must be given together"),
        (
            {"max_change": torch.tensor([0.5, 0.0]), "previous_action": torch.zeros(1, 2)},
            r"max_change must be \[action_dim\] = \[2\] and above 0, got \[0.5, 0.0\]",
        ),
        (
            {"max_change": torch.ones(2), "previous_action": torch.full((1, 2), 1.5)},
            r"previous_action must be \[batch, action_dim\] inside the bounds, got \[\[1.5, 1.5\]\]",
        ),
        ({"choices": torch.zeros(3)}, r"choices must be \[num_choices, action_dim\] = .*, got \[3\]"),
        ({"choices": torch.full((1, 2), 2.0)}, r"choices must lie inside the bounds, got \[\[2.0, 2.0\]\]"),
        (
            {"choices": torch.zeros(1, 2), "max_change": torch.ones(2), "previous_action": torch.zeros(1, 2)},
            "discrete actions must have no max_change",
        ),
    ],
)
def test_limits_that_do_not_fit_are_refused_in_one_sentence(change, message):
    with pytest.raises(ValueError, match=message):
        ActionBounds(low=-torch.ones(2), high=torch.ones(2), **change)
