"""Batches one step ahead: nobody can tell, but by the clock."""

import threading

import pytest

from world_model.training.prefetch import Prefetch


def batch(step):
    return f"batch {step}"


@pytest.mark.parametrize("steps", [range(1, 8), [7, 8, 9], [3, 1, 2], [5, 5, 5], [1, 2, 9, 10, 2], [0]])
def test_a_batch_is_that_of_its_step_whatever_the_order(steps):
    batches = Prefetch(batch)
    assert [batches.get(step) for step in steps] == [batch(step) for step in steps]


def test_the_next_batch_is_fetched_meanwhile_and_only_once():
    fetched, ready = [], threading.Event()

    def fetch(step):
        fetched.append((step, threading.current_thread() is threading.main_thread()))
        if step == 2:
            ready.set()
        return batch(step)

    batches = Prefetch(fetch)
    batches.get(1)
    assert ready.wait(timeout=60)
    assert fetched == [(1, True), (2, False)]  # before anybody asked for it
    assert batches.get(2) == batch(2)
    assert [step for step, _ in fetched].count(2) == 1


def test_what_goes_wrong_in_the_background_is_raised_where_the_batch_is_asked_for():
    def fetch(step):
        if step == 2:
            raise OSError("the disk is gone")
        return batch(step)

    batches = Prefetch(fetch)
    assert batches.get(1) == batch(1)
    with pytest.raises(OSError, match="the disk is gone"):
        batches.get(2)
    assert batches.get(3) == batch(3)


def test_what_goes_wrong_at_once_is_raised_too():
    with pytest.raises(ZeroDivisionError):
        Prefetch(lambda step: 1 // step).get(0)
