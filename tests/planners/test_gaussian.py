import math

import pytest
import torch

from planners.gaussian import GaussianState, check_stds
from planners.types import ActionBounds

BOUNDS = ActionBounds(low=torch.tensor([0.0]), high=torch.tensor([4.0]))


def state(*, mean, std, plan):
    return GaussianState(*(torch.tensor(steps)[None, :, None] for steps in (mean, std, plan)))


def test_a_state_in_actions_is_scaled_to_the_box_and_clipped_to_it():
    mean, std, plan = state(mean=[0.0, 3.0], std=[0.1, 0.5], plan=[-0.5, 0.5]).to_actions(BOUNDS, warm_std=0.25)
    assert mean.flatten().tolist() == [2.0, 4.0]
    assert std.flatten().tolist() == [0.5, 1.0]
    assert plan.flatten().tolist() == [1.0, 3.0]
    assert mean.shape == std.shape == plan.shape == (1, 1, 2, 1)


def test_a_state_comes_back_from_its_actions():
    before = state(mean=[0.0, 1.0], std=[0.25, 0.5], plan=[-0.5, 0.5])
    mean, std, plan = before.to_actions(BOUNDS, warm_std=0.1)
    after = GaussianState.from_actions(BOUNDS, mean=mean, std=std, plan=plan)
    assert torch.equal(after.mean, before.mean)
    assert torch.equal(after.std, before.std)
    assert torch.equal(after.plan, before.plan)


def test_noise_for_another_number_of_iterations_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"noise must be .* = \[1, 3, 8, 2, 1\], got \[1, 2, 8, 2, 1\]$"):
        GaussianState.init(BOUNDS, batch_size=1, horizon=2, std=1.0).check(
            torch.zeros(1, 2, 8, 2, 1), 0, num_iterations=3, num_samples=8
        )


def test_more_proposals_than_samples_are_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"num_samples must be at least 9 to hold 7 proposals, .*, got 8"):
        GaussianState.init(BOUNDS, batch_size=1, horizon=2, std=1.0).check(
            torch.zeros(1, 3, 8, 2, 1), 7, num_iterations=3, num_samples=8
        )


@pytest.mark.parametrize("stds", [(0.0, 0.2, 0.5), (0.3, 0.2, 0.5), (0.1, 0.6, 0.5), (0.1, 0.2, math.nan)])
def test_stds_out_of_order_are_refused_in_one_sentence(stds):
    min_std, warm_std, init_std = stds
    with pytest.raises(ValueError, match=f"0 < min_std <= warm_std <= init_std, got min_std={min_std}, .*={init_std}"):
        check_stds(min_std=min_std, warm_std=warm_std, init_std=init_std)
