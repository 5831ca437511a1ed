"""Linear probes of what was recorded: known scores for embeddings that are known."""

from functools import partial

import numpy as np
import pytest
from torch import nn

from world_model.training.embedded import embed_rows
from world_model.training.probed_frames import ProbedFrames

NUM_EPISODES, NUM_STEPS = 20, 10
LEARNED, HELD_OUT = np.arange(14), np.arange(14, 20)


@pytest.fixture
def seen():
    """Readings that a model with one sensor sees, of every episode."""
    return np.random.default_rng(0).normal(size=(NUM_EPISODES, NUM_STEPS + 1, 2))


@pytest.fixture
def measure(record, build_model, tmp_path):
    """Probes a model that embeds the sensor `seen` as it is; other sensors are recorded beside it."""

    def run(seen, *, num_frames=300, **others):
        readings = [
            {"seen": seen[index], **{name: values[index] for name, values in others.items()}}
            for index in range(NUM_EPISODES)
        ]
        dataset = record(tmp_path / "data", readings, [np.zeros((NUM_STEPS, 2))] * NUM_EPISODES)
        model = build_model(sensors={"seen": (2,)}, embed_dims={"seen": 2}, encoder=lambda **shape: nn.Flatten()).eval()
        probes = ProbedFrames(
            dataset,
            learned=LEARNED,
            held_out=HELD_OUT,
            num_frames=num_frames,
            rng=np.random.default_rng(1),
        )
        embed = partial(embed_rows, model, dataset)
        return probes.judge(embed, probes.fit(embed))

    return run


def test_an_embedding_that_is_the_sensor_tells_all_of_it_and_of_what_is_linear_in_it(measure, seen):
    scores = measure(seen, turned=3 * seen[..., ::-1] + 7)
    assert scores.keys() == {"probe/seen", "probe/turned"}
    assert scores["probe/seen"] == pytest.approx(1.0, abs=1e-5)
    assert scores["probe/turned"] == pytest.approx(1.0, abs=1e-5)


def test_of_what_has_nothing_to_do_with_it_an_embedding_tells_nothing(measure, seen):
    noise = np.random.default_rng(5).normal(size=seen.shape)
    assert abs(measure(seen, noise=noise)["probe/noise"]) < 0.1


def test_half_of_what_varies_is_half(measure, seen):
    noise = np.random.default_rng(5).normal(size=seen.shape)
    assert measure(seen, num_frames=2000, sum=seen + noise)["probe/sum"] == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("size", "expected"), [(0.01, 1.0), (100.0, 0.0)])
def test_the_numbers_of_a_sensor_count_for_as_much_as_they_vary(measure, seen, size, expected):
    noise = size * np.random.default_rng(5).normal(size=seen.shape[:2])
    known = seen[..., 0] / seen[..., 0].std()
    mixed = np.stack([known, noise], axis=2)
    assert measure(seen, mixed=mixed)["probe/mixed"] == pytest.approx(expected, abs=0.1)


def test_constant_numbers_are_left_out(measure, seen):
    height = np.full(seen.shape[:2], 0.035) + 1e-5 * np.sin(np.arange(NUM_STEPS + 1))
    partly = np.stack([seen[..., 0], height], axis=2)
    scores = measure(seen, partly=partly, still=np.ones((*seen.shape[:2], 3)))
    assert scores["probe/partly"] == pytest.approx(1.0, abs=1e-5)
    assert "probe/still" not in scores


@pytest.mark.parametrize("side", [LEARNED, HELD_OUT])
def test_a_number_that_varies_on_one_side_only_is_left_out(measure, seen, side):
    moved = np.zeros((*seen.shape[:2], 1))
    moved[side] = seen[side, :, :1]
    assert measure(seen, moved=moved).keys() == {"probe/seen"}


def test_probes_are_judged_on_episodes_that_they_were_not_fitted_on(measure, seen):
    turned = seen.copy()
    turned[HELD_OUT] *= -1
    assert measure(seen, turned=turned)["probe/turned"] == pytest.approx(-3.0, abs=0.2)
