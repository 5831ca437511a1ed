import numpy as np
import pytest

from agent.guardrails import Guardrails


def test_an_allowed_action_passes_untouched():
    action = np.array([0.3, -0.4], np.float32)
    guarded = Guardrails(max_change=1.0).guard(action, np.zeros(2, np.float32))
    assert np.array_equal(guarded.action, action)
    assert guarded.interventions == ()


def test_ten_thousand_hostile_actions_never_leave_the_limits():
    rng = np.random.default_rng(0)
    guardrails = Guardrails(max_change=0.25)
    previous = np.zeros(3, np.float32)
    for _ in range(10_000):
        hostile = rng.choice([np.nan, np.inf, -np.inf, 1e9, -1e9, 1.0, -1.0, 0.0], size=3).astype(np.float32)
        action = guardrails.guard(hostile, previous).action
        assert np.isfinite(action).all()
        assert (np.abs(action) <= 1.0).all()
        assert (np.abs(action - previous) <= 0.25 + 1e-6).all()
        previous = action


def test_each_intervention_is_named():
    guarded = Guardrails(max_change=0.5).guard(np.array([np.nan, 7.0], np.float32), np.zeros(2, np.float32))
    assert guarded.interventions == ("non-finite", "bounds", "rate")
    assert guarded.action.tolist() == [0.0, 0.5]


@pytest.mark.parametrize("max_change", [0.0, -1.0, 2.5, float("nan")])
def test_a_limit_that_makes_no_sense_is_refused(max_change):
    with pytest.raises(ValueError, match="max_change must be above 0 and at most 2"):
        Guardrails(max_change=max_change)


@pytest.mark.parametrize("previous", [np.nan, np.inf, -np.inf, 1e9, -50.0])
def test_a_hostile_previous_action_opens_no_door(previous):
    guardrails = Guardrails(max_change=0.25)
    for action in (1.0, -1.0, np.nan, 1e9):
        guarded = guardrails.guard(np.full(2, action, np.float32), np.full(2, previous, np.float32))
        assert (np.abs(guarded.action) <= 1.0).all()
