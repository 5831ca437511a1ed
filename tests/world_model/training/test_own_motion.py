"""A robot's own motion: found beside the contact that it does not explain."""

import torch

from world_model.training.own_motion import OwnMotion


def world(rows=4000, share=0.2):
    """A hand that actions move, and a ball that some steps push: before, actions, after, and which steps push."""
    generator = torch.Generator().manual_seed(0)
    before = torch.randn(rows, 4, generator=generator)
    actions = torch.randn(rows, 2, generator=generator)
    pushed = torch.rand(rows, generator=generator) < share
    after = before.clone()
    after[:, :2] += actions @ torch.tensor([[0.5, 0.2], [-0.1, 0.4]])
    after[:, 2:] += pushed[:, None] * (actions + 0.5)
    return before, actions, after, pushed


def test_what_is_left_is_the_push_and_nothing_else():
    before, actions, after, pushed = world()
    left = OwnMotion.fit(before, actions, after).unexplained(before, actions, after)
    assert left[~pushed].abs().max() < 0.02
    torch.testing.assert_close(left[pushed][:, 2:], (actions + 0.5)[pushed].double(), atol=0.03, rtol=0.0)


def test_where_nothing_is_pushed_nothing_is_left():
    before, actions, after, _ = world(share=0.0)
    assert OwnMotion.fit(before, actions, after).unexplained(before, actions, after).abs().max() < 1e-4
    assert OwnMotion.fit(before, 0 * actions, before).unexplained(before, 0 * actions, before).abs().max() == 0


def test_the_motion_of_a_robot_that_stands_still_most_of_the_time_is_explained():
    """A finger that a joint bends, so that no linear guess is exact, and that rests in two steps of three."""
    before, actions, after, pushed = world()
    after[:, :2] += 0.02 * (3 * before[:, :2]).sin() * actions
    stands = torch.rand(len(before), generator=torch.Generator().manual_seed(1)) < 0.67
    actions, after = torch.where(stands[:, None], 0.0, actions), torch.where(stands[:, None], before, after)
    left = OwnMotion.fit(before, actions, after).unexplained(before, actions, after)
    moves = ~stands & ~pushed
    assert left[moves].norm(dim=1).median() < 0.1 * (after - before)[moves].norm(dim=1).median()
