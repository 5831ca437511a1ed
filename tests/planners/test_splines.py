import pytest
import torch

from planners.splines import ORDERS, spline_basis


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("num_knots", "horizon"), [(1, 4), (2, 2), (2, 5), (3, 5), (4, 10), (7, 7)])
def test_a_constant_stays_constant(order, num_knots, horizon):
    curve = spline_basis(num_knots, horizon, order=order) @ torch.full((num_knots,), 2.0, dtype=torch.float64)
    torch.testing.assert_close(curve, torch.full((horizon,), 2.0, dtype=torch.float64))


@pytest.mark.parametrize("order", ORDERS)
def test_as_many_knots_as_steps_are_the_steps(order):
    torch.testing.assert_close(spline_basis(5, 5, order=order), torch.eye(5, dtype=torch.float64))


@pytest.mark.parametrize(("order", "degree"), [(1, 1), (3, 1), (3, 2)])
def test_polynomials_up_to_the_order_are_met(order, degree):
    knots = torch.linspace(0, 1, 4, dtype=torch.float64) ** degree
    steps = torch.linspace(0, 1, 13, dtype=torch.float64) ** degree
    curve = spline_basis(4, 13, order=order) @ knots
    inner = slice(4, 9) if degree == 2 else slice(None)  # a slope at the end is one-sided, exact for a line alone
    torch.testing.assert_close(curve[inner], steps[inner])


def test_a_zero_order_hold_keeps_the_knot_before():
    assert (spline_basis(2, 5, order=0) @ torch.tensor([3.0, 7.0], dtype=torch.float64)).tolist() == [3, 3, 3, 3, 7]


@pytest.mark.parametrize(
    ("num_knots", "order", "message"),
    [(0, 1, "num_knots must be in 1..horizon=3, got 0"), (4, 1, "got 4"), (2, 2, r"one of \(0, 1, 3\), got 2")],
)
def test_what_is_no_spline_is_refused_in_one_sentence(num_knots, order, message):
    with pytest.raises(ValueError, match=message):
        spline_basis(num_knots, 3, order=order)
