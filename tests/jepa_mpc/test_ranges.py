import math

import pytest

from jepa_mpc.errors import UserError
from jepa_mpc.ranges import check_count, check_number


@pytest.mark.parametrize(
    ("value", "limits", "said"),
    [
        (0.0, {"above": 0}, "it must be above 0 and finite, got 0.0"),
        (1, {"least": 0, "below": 1}, "it must be at least 0 and below 1 and finite, got 1"),
        (1.5, {"most": 1, "null": True}, "it must be at most 1 and finite, or null, got 1.5"),
        (math.nan, {}, "it must be finite, got nan"),
        (True, {"least": 0}, "it must be at least 0 and finite, got True"),
        (None, {"least": 0}, "it must be at least 0 and finite, got None"),
    ],
)
def test_a_number_out_of_its_range_is_one_sentence(value, limits, said):
    with pytest.raises(UserError) as error:
        check_number("it", value, **limits)
    assert str(error.value) == said


@pytest.mark.parametrize(
    ("value", "null", "said"),
    [
        (0, False, "it must be at least 1, got 0"),
        (0, True, "it must be at least 1, or null, got 0"),
        (1.0, False, "it must be a whole number, at least 1, got 1.0"),
        (True, True, "it must be a whole number, at least 1, or null, got True"),
        (None, False, "it must be a whole number, at least 1, got None"),
    ],
)
def test_a_count_out_of_its_range_is_one_sentence(value, null, said):
    with pytest.raises(UserError) as error:
        check_count("it", value, least=1, null=null)
    assert str(error.value) == said


def test_what_is_within_its_range_is_let_through():
    check_count("it", 1, least=1)
    check_count("it", None, least=1, null=True)
    check_number("it", 1, least=1, most=1)
    check_number("it", None, above=1, null=True)
