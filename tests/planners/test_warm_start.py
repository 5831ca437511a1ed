import pytest
import torch

from planners.warm_start import resize_steps, shift_steps

STEPS = torch.tensor([[[1.0], [2.0], [3.0]]])


@pytest.mark.parametrize(
    ("num_steps", "expected"), [(0, [1, 2, 3]), (1, [2, 3, 9]), (2, [3, 9, 9]), (3, [9, 9, 9]), (7, [9, 9, 9])]
)
def test_shift_drops_at_the_start_and_fills_at_the_end(num_steps, expected):
    assert shift_steps(STEPS, num_steps, fill=9.0)[0, :, 0].tolist() == expected


@pytest.mark.parametrize(("horizon", "expected"), [(1, [1]), (3, [1, 2, 3]), (5, [1, 2, 3, 9, 9])])
def test_resize_cuts_or_fills_at_the_end(horizon, expected):
    assert resize_steps(STEPS, horizon, fill=9.0)[0, :, 0].tolist() == expected


def test_a_shift_backwards_is_refused():
    with pytest.raises(ValueError, match="num_steps must be at least 0, got -1"):
        shift_steps(STEPS, -1, fill=0.0)


def test_a_horizon_of_zero_is_refused():
    with pytest.raises(ValueError, match="horizon must be at least 1, got 0"):
        resize_steps(STEPS, 0, fill=0.0)
