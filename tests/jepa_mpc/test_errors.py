import numpy as np
import pytest

from jepa_mpc.errors import UserError, is_refusal
from planners.types import Budget
from world_model.training.checkpoint import CheckpointError


def caught(call):
    with pytest.raises(Exception) as error:
        call()
    return error.value


def refuse():
    raise CheckpointError("there is none")


def unlike():
    raise ValueError("from somebody else's code")


def test_what_our_code_refuses_is_a_refusal():
    assert issubclass(CheckpointError, UserError)
    assert is_refusal(caught(refuse))
    assert is_refusal(caught(lambda: Budget(num_evaluations=0)))


@pytest.mark.parametrize(
    "call",
    [unlike, lambda: int("x"), lambda: np.zeros(2) + np.zeros(3), lambda: np.zeros(3).reshape(2, 2)],
)
def test_a_value_error_of_others_is_none(call):
    assert not is_refusal(caught(call))


def test_a_value_error_that_our_code_did_not_mean_is_none():
    namespace = {"__name__": "planners.cem"}
    exec("def unpack(): first, second = (1, 2, 3)", namespace)  # noqa: S102
    assert not is_refusal(caught(namespace["unpack"]))
