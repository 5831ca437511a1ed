import pytest

from agent.run.config.composing import group_names
from benchmarks.world_model.representations import WAYS, probe_curves, seconds_to


def test_every_way_is_a_shipped_regularizer():
    assert set(WAYS) <= set(group_names()["regularizer"])


def test_curves_are_those_of_validated_probes_in_seconds_of_training():
    log = [
        {"step": 50, "train/loss": 1.0},
        {"step": 100, "validation/loss": 1.0, "validation/probe/tip": 0.5, "validation/probe/joints": 0.1},
        {"step": 150, "train/loss": 0.9},
        {"step": 200, "validation/loss": 0.9, "validation/probe/tip": 0.8, "validation/probe/joints": 0.2},
    ]
    assert probe_curves(log, step_seconds=0.25) == {
        "tip": [(25.0, 0.5), (50.0, 0.8)],
        "joints": [(25.0, 0.1), (50.0, 0.2)],
    }


@pytest.mark.parametrize(
    ("values", "seconds"),
    [((0.1, 0.9, 0.95), 20), ((0.9, 0.2, 0.9), 30), ((0.95, 0.9, 0.2), None), ((0.9, 0.9, 0.9), 10), ((), None)],
)
def test_a_level_is_reached_when_it_is_not_left_again(values, seconds):
    assert seconds_to([(10 * (index + 1), value) for index, value in enumerate(values)], 0.9) == seconds
