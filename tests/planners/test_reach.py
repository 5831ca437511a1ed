import pytest
import torch

from planners.reach import by_place, move
from planners.types import ActionBounds

LOW, HIGH = torch.tensor([-1.0, 0.0]), torch.tensor([1.0, 3.0])


@pytest.fixture
def limited():
    """Bounds of two problems that start at different actions."""
    previous = torch.tensor([[0.0, 0.1], [0.9, 2.0]])
    return ActionBounds(low=LOW, high=HIGH, max_change=torch.tensor([0.3, 0.2]), previous_action=previous)


def sequences(bounds, *, scale=1.0, dtype=torch.float32, seed=0):
    """Returns two problems' sequences of six steps that are allowed, some of them at a limit."""
    generator = torch.Generator().manual_seed(seed)
    return bounds.clip(scale * torch.randn(2, 5, 6, 2, generator=generator).to(dtype))


def test_no_change_moves_nothing(limited):
    actions = sequences(limited)
    torch.testing.assert_close(move(actions, torch.zeros_like(actions), limited), actions)


@pytest.mark.parametrize("scale", [0.01, 0.5, 1e9])
def test_what_is_moved_is_allowed_to_the_last_bit(limited, scale):
    actions = sequences(limited)
    for seed in range(20):
        change = scale * torch.randn(actions.shape, generator=torch.Generator().manual_seed(seed))
        actions = move(actions, change, limited)
        assert torch.equal(actions, limited.clip(actions))


def test_the_furthest_places_are_the_furthest_sequences(limited):
    actions = sequences(limited)
    highest = move(actions, torch.full_like(actions, 2.0), limited)
    assert torch.equal(highest, limited.clip(torch.full_like(actions, 9.0)))
    lowest = move(actions, torch.full_like(actions, -2.0), limited)
    assert torch.equal(lowest, limited.clip(torch.full_like(actions, -9.0)))


def test_without_a_limit_places_are_units_of_the_box():
    bounds = ActionBounds(low=LOW, high=HIGH)
    actions, change = sequences(bounds), torch.full((2, 5, 6, 2), 0.1)
    torch.testing.assert_close(move(actions, change, bounds), bounds.clip(actions + bounds.half_range * change))
    assert torch.equal(by_place(actions, actions, bounds), bounds.half_range * actions)


def test_the_gradient_is_that_of_finite_differences(limited):
    bounds = ActionBounds(
        low=LOW.double(),
        high=HIGH.double(),
        max_change=limited.max_change.double(),
        previous_action=limited.previous_action.double(),
    )
    inside = move(sequences(bounds, dtype=torch.float64), torch.zeros(2, 5, 6, 2, dtype=torch.float64), bounds)
    actions = move(inside, 0.3 * torch.randn(inside.shape, generator=torch.Generator().manual_seed(1)).double(), bounds)
    weights = torch.randn(actions.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    gradient = by_place(weights, actions, bounds)
    reached = 0
    for step in range(6):
        change = torch.zeros_like(actions)
        change[:, :, step] = 1e-6
        there, back = ((weights * move(actions, sign * change, bounds)).sum(dim=2) for sign in (1, -1))
        slope = (there - back) / 2e-6
        free = move(actions, change, bounds)[:, :, step] != actions[:, :, step]
        free &= move(actions, -change, bounds)[:, :, step] != actions[:, :, step]
        torch.testing.assert_close(slope[free], gradient[:, :, step][free], rtol=1e-5, atol=1e-7)
        reached += int(free.sum())
    assert reached > 50


def test_what_a_late_action_gains_reaches_the_early_ones(limited):
    actions = sequences(limited, scale=0.1)
    late = torch.zeros_like(actions)
    late[:, :, -1] = 1.0
    assert (by_place(late, actions, limited)[:, :, 0, 1] > 0).any()
