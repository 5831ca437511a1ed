import math

import pytest
import torch

from planners.gaussian import GaussianState, check_stds
from planners.types import ActionBounds

BOUNDS = ActionBounds(low=torch.tensor([0.0]), high=torch.tensor([4.0]))
KEPT = torch.tensor([0.5, math.nan])[None, None, :, None]  # one of two steps, the second of them unknown


def state(*, mean, std, plan):
    return GaussianState(*(torch.tensor(steps)[None, :, None] for steps in (mean, std, plan)), kept=KEPT)


def test_a_state_in_actions_is_scaled_to_the_box_and_clipped_to_it():
    mean, std, plan = state(mean=[0.0, 3.0], std=[0.1, 0.5], plan=[-0.5, 0.5]).to_actions(BOUNDS, warm_std=0.25)
    assert mean.flatten().tolist() == [2.0, 4.0]
    assert std.flatten().tolist() == [0.5, 1.0]
    assert plan.flatten().tolist() == [1.0, 3.0]
    assert mean.shape == std.shape == plan.shape == (1, 1, 2, 1)


def test_a_state_comes_back_from_its_actions():
    before = state(mean=[0.0, 1.0], std=[0.25, 0.5], plan=[-0.5, 0.5])
    mean, std, plan = before.to_actions(BOUNDS, warm_std=0.1)
    after = GaussianState.from_actions(BOUNDS, mean=mean, std=std, plan=plan, kept=torch.tensor(3.0) + 0 * KEPT)
    assert torch.equal(after.mean, before.mean)
    assert torch.equal(after.std, before.std)
    assert torch.equal(after.plan, before.plan)
    assert after.kept[0, 0, 0] == 0.5 and after.kept[0, 0, 1].isnan()


@pytest.mark.parametrize("num_kept", [0, 2])
def test_steps_that_enter_are_those_of_a_beginning(num_kept):
    fresh = GaussianState.init(BOUNDS, batch_size=3, horizon=4, std=0.5, num_kept=num_kept)
    assert fresh.kept.shape == (3, num_kept, 4, 1)
    for moved in (fresh.shift(2, std=0.5), fresh.resize(6, std=0.5).resize(4, std=0.5)):
        for name in ("mean", "std", "plan", "kept"):
            torch.testing.assert_close(getattr(moved, name), getattr(fresh, name), equal_nan=True)


@pytest.mark.parametrize("stds", [(0.0, 0.2, 0.5), (0.3, 0.2, 0.5), (0.1, 0.6, 0.5), (0.1, 0.2, math.nan)])
def test_stds_out_of_order_are_refused_in_one_sentence(stds):
    min_std, warm_std, init_std = stds
    with pytest.raises(ValueError, match=f"0 < min_std <= warm_std <= init_std, got min_std={min_std}, .*={init_std}"):
        check_stds(min_std=min_std, warm_std=warm_std, init_std=init_std)
