import math

import pytest
import torch

from planners.candidates import admit, best_plan, cheapest, pick
from planners.types import ActionBounds

BOUNDS = ActionBounds(low=torch.tensor([0.0]), high=torch.tensor([4.0]))


def sequences(values):
    """Returns candidates of one step and one dimension, `[batch, num_samples, 1, 1]`."""
    return torch.tensor(values)[:, :, None, None]


def test_proposals_enter_clipped_and_without_nan():
    proposal = torch.tensor([[[-1.0], [3.0], [math.nan], [math.inf]]])
    (admitted,) = admit([proposal], bounds=BOUNDS, batch_size=1, horizon=4)
    assert admitted[0, :, 0].tolist() == [0.0, 3.0, 2.0, 4.0]


def test_proposals_take_the_type_of_the_bounds():
    (admitted,) = admit([torch.zeros(1, 1, 1, dtype=torch.float64)], bounds=BOUNDS, batch_size=1, horizon=1)
    assert admitted.dtype == torch.float32


def test_a_proposal_for_another_batch_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"\[batch, horizon, action_dim\] = \[2, 3, 1\], got \[1, 3, 1\]"):
        admit([torch.zeros(1, 3, 1)], bounds=BOUNDS, batch_size=2, horizon=3)


def test_pick_takes_each_problems_own_candidates():
    picked = pick(sequences([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), torch.tensor([[2, 0], [1, 1]]))
    assert picked[:, :, 0, 0].tolist() == [[3.0, 1.0], [5.0, 5.0]]


def test_the_cheapest_is_found_for_each_problem():
    actions, cost = cheapest(sequences([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[9.0, 8.0], [6.0, math.inf]]))
    assert actions.flatten().tolist() == [2.0, 3.0]
    assert cost[:, 0].tolist() == [8.0, 6.0]


def test_the_plan_is_the_cheapest_finalist_and_the_fallback_where_there_is_none():
    finalists = [
        (sequences([[1.0, 9.0]] * 3), torch.tensor([[5.0, 6.0], [2.0, 3.0], [math.inf, math.inf]])),
        (sequences([[2.0]] * 3), torch.tensor([[4.0], [3.0], [math.inf]])),
    ]
    plan = best_plan(finalists, elites=torch.zeros(3, 2, 1, 1), fallback=torch.full((3, 1, 1), 7.0), num_evaluations=6)
    assert plan.actions.flatten().tolist() == [2.0, 1.0, 7.0]
    assert plan.cost.tolist() == [4.0, 2.0, math.inf]
    assert plan.cost_history.tolist() == [[5.0, 2.0, math.inf], [4.0, 2.0, math.inf]]
    assert plan.num_evaluations == 6
