import torch

from agent.learning.hindsight import Transitions
from agent.learning.rows import choose, join
from world_model.types import LatentGoal


def batch(*numbers):
    column = torch.tensor(numbers, dtype=torch.float32)[:, None]
    goal = LatentGoal(embedding=2 * column, mask=column > 1)
    return Transitions(embedding=column, action=-column, later=column + 1, goal=goal, steps_to_goal=column[:, 0])


def equal(one, other):
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("embedding", "action", "later", "steps_to_goal")]
    pairs += [(one.goal.embedding, other.goal.embedding), (one.goal.mask, other.goal.mask)]
    return all(torch.equal(*pair) for pair in pairs)


def test_some_rows_are_chosen_of_every_part():
    assert equal(choose(batch(0, 1, 2, 3), torch.tensor([3, 0, 3])), batch(3, 0, 3))


def test_batches_are_joined_part_by_part():
    assert equal(join([batch(0, 1), batch(2), choose(batch(7), torch.arange(0))]), batch(0, 1, 2))
