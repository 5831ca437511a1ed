import numpy as np
import pytest
import torch

from envs.episodes.episode import DatasetError
from world_model.training.data import (
    WindowSampler,
    action_moments,
    check_camera,
    long_enough,
    sensor_moments,
    split_episodes,
)

LENGTHS = [7, 3, 12, 5]


@pytest.fixture(scope="module")
def stamped(record, tmp_path_factory):
    """Episodes in which every reading and every action says where it belongs: (episode, step)."""

    def stamps(episode, num_rows):
        return np.stack([np.full(num_rows, episode), np.arange(num_rows)], axis=1)

    readings = [{"stamp": stamps(episode, length + 1)} for episode, length in enumerate(LENGTHS)]
    actions = [stamps(episode, length) for episode, length in enumerate(LENGTHS)]
    return record(tmp_path_factory.mktemp("stamped"), readings, actions)


def sampler(dataset, episodes=(0, 1, 2, 3), num_frames=3, action_repeat=1):
    return WindowSampler(
        dataset,
        sensors=["stamp"],
        episodes=np.array(episodes),
        num_frames=num_frames,
        action_repeat=action_repeat,
    )


@pytest.mark.parametrize("action_repeat", [1, 2])
@pytest.mark.parametrize("episodes", [(0, 1, 2, 3), (1, 3), (2,)])
def test_the_windows_are_all_those_inside_the_chosen_episodes(stamped, episodes, action_repeat):
    windows = sampler(stamped, episodes, action_repeat=action_repeat)
    found = [tuple(row) for row in windows[np.arange(len(windows))].observation["stamp"][:, 0].int().tolist()]
    span = 2 * action_repeat
    assert found == [(e, start) for e in episodes for start in range(LENGTHS[e] + 1 - span)]


@pytest.mark.parametrize("action_repeat", [1, 3])
def test_an_action_stands_between_the_frames_that_it_leads_from_and_to(stamped, action_repeat):
    windows = sampler(stamped, action_repeat=action_repeat).sample(500, np.random.default_rng(0))
    frames = windows.observation["stamp"]
    actions = windows.actions.view(500, 2, action_repeat, 2)
    assert (frames[:, :, 0] == frames[:, :1, 0]).all() and (actions[..., 0] == frames[:, :1, :1]).all()
    for repeat in range(action_repeat):
        assert (actions[:, :, repeat, 1] == frames[:, :-1, 1] + repeat).all()
    assert (frames[:, 1:, 1] == frames[:, :-1, 1] + action_repeat).all()


def test_all_windows_are_equally_likely(stamped):
    windows = sampler(stamped)
    starts = windows.sample(60_000, np.random.default_rng(0)).observation["stamp"][:, 0]
    counts = torch.unique(starts, dim=0, return_counts=True)[1]
    assert len(counts) == len(windows)
    expected = 60_000 / len(windows)
    assert ((counts - expected).abs() < 5 * expected**0.5).all()


def test_a_batch_is_a_function_of_its_generator_alone(stamped):
    windows = sampler(stamped)
    first = windows.sample(8, np.random.default_rng((3, 14)))
    windows.sample(8, np.random.default_rng(1))
    assert torch.equal(first.actions, windows.sample(8, np.random.default_rng((3, 14))).actions)
    assert not torch.equal(first.actions, windows.sample(8, np.random.default_rng((3, 15))).actions)


def test_batches_of_windows_are_the_windows(stamped):
    windows = sampler(stamped).sample(10, np.random.default_rng(0))
    parts = windows.split(4)
    assert [len(part.actions) for part in parts] == [4, 4, 2]
    assert torch.equal(torch.cat([part.actions for part in parts]), windows.actions)
    assert torch.equal(torch.cat([part.observation["stamp"] for part in parts]), windows.observation["stamp"])


def test_no_episode_is_on_both_sides_and_none_is_lost():
    learned, held_out = split_episodes(200, validation_fraction=0.1, rng=np.random.default_rng(0))
    assert len(held_out) == 20
    assert sorted([*learned, *held_out]) == list(range(200))
    others = split_episodes(200, validation_fraction=0.1, rng=np.random.default_rng(1))[1]
    assert not np.array_equal(held_out, others)
    assert [len(side) for side in split_episodes(2, validation_fraction=0.9, rng=np.random.default_rng(0))] == [1, 1]


def test_moments_are_those_of_the_chosen_episodes(linear):
    chosen = np.array([3, 5, 190])
    rows = [linear.episode(index) for index in chosen]
    positions = np.concatenate([readings["position"] for readings, _ in rows]).astype(np.float64)
    actions = np.concatenate([done for _, done in rows]).astype(np.float64)
    for moments, values in (
        (sensor_moments(linear, "position", chosen), positions),
        (action_moments(linear, chosen), actions),
    ):
        np.testing.assert_allclose(moments.mean, values.mean(axis=0), rtol=1e-9)
        np.testing.assert_allclose(moments.std, values.std(axis=0), rtol=1e-9)


def test_moments_of_readings_far_from_0_lose_no_digits(record, tmp_path):
    rng = np.random.default_rng(0)
    readings = [{"clock": np.float32(1e5 + 0.1 * rng.normal(size=(41, 1)))} for _ in range(3)]
    dataset = record(tmp_path, readings, [np.float32(1e5 + 0.1 * rng.normal(size=(40, 1))) for _ in range(3)])
    clock, actions = (np.float64(array) for array in (dataset.observations["clock"], dataset.actions))
    everything = np.arange(3)
    np.testing.assert_allclose(sensor_moments(dataset, "clock", everything).std, clock.std(axis=0), rtol=1e-9)
    np.testing.assert_allclose(action_moments(dataset, everything).std, actions.std(axis=0), rtol=1e-9)


@pytest.mark.parametrize("num_steps", [1, 4, 5, 7])
def test_episodes_shorter_than_a_window_are_left_out(stamped, num_steps):
    expected = [episode for episode, length in enumerate(LENGTHS) if length >= num_steps]
    assert long_enough(stamped, num_steps=num_steps).tolist() == expected


def test_what_nothing_can_be_learned_from_is_refused(stamped):
    with pytest.raises(
        DatasetError, match=r"at least 2 episodes of 8 control steps .* of the 4 in .* 1 are so long, .* 12"
    ):
        long_enough(stamped, num_steps=8)
    with pytest.raises(DatasetError, match="take 12 control steps, the longest of the 2 chosen episodes has 7"):
        sampler(stamped, (0, 1), num_frames=13)
    with pytest.raises(DatasetError, match=r"no sensor 'elbow', it has \['stamp'\]"):
        sensor_moments(stamped, "elbow", np.array([0]))
    with pytest.raises(DatasetError, match="at least 2 episodes, one of them to validate on, got 1"):
        split_episodes(1, validation_fraction=0.1, rng=np.random.default_rng(0))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("step", [0, 4])
def test_what_is_not_finite_is_named(record, tmp_path, value, step):
    readings = [{"good": np.ones((8, 2)), "bad": np.ones((8, 2))} for _ in range(3)]
    actions = [np.ones((7, 2)) for _ in range(3)]
    readings[1]["bad"][step, 1] = actions[1][step, 0] = value
    dataset = record(tmp_path, readings, actions)
    sensor_moments(dataset, "good", np.array([0, 1, 2]))
    sensor_moments(dataset, "bad", np.array([0, 2]))
    with pytest.raises(
        DatasetError, match=r"the sensor 'bad' of the dataset .* must be finite, .* check-data .* where"
    ):
        sensor_moments(dataset, "bad", np.array([1, 2]))
    with pytest.raises(DatasetError, match=r"the actions of the dataset .* must be finite"):
        action_moments(dataset, np.array([1, 2]))


def test_windows_of_frames_are_the_recorded_bytes(filmed):
    windows = WindowSampler(filmed, sensors=["camera"], episodes=np.array([2, 5]), num_frames=3, action_repeat=2)
    frames = windows[np.arange(len(windows))].observation["camera"]
    assert frames.dtype == torch.uint8
    for row, (episode, start) in enumerate((e, s) for e in (2, 5) for s in range(12 + 1 - 4)):
        np.testing.assert_array_equal(frames[row], filmed.episode(episode)[0]["camera"][start : start + 5 : 2])


STILL = np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)


def film(record, folder, change):
    """Records 4 films of 50 frames of a thing at rest, with a change of one colour somewhere."""
    films = np.repeat(STILL[None, None], 50, axis=1).repeat(4, axis=0)
    films[change][..., 7, 7, 2] ^= 1
    return record(folder, [{"camera": frames} for frames in films], [np.zeros((49, 1))] * 4)


def test_a_camera_that_shows_the_same_all_the_time_is_refused(record, tmp_path):
    constant = film(record, tmp_path, np.s_[:0])
    with pytest.raises(
        DatasetError, match=r"^the camera 'camera' of the dataset .* shows the same picture in all 200 frames"
    ):
        check_camera(constant, "camera")
    with pytest.raises(DatasetError, match=r"has no sensor 'eye', it has \['camera'\]"):
        check_camera(constant, "eye")


@pytest.mark.parametrize(
    "change",
    [np.s_[:, 1:], np.s_[:, 49:], np.s_[3:, 49:], np.s_[3:, :1], np.s_[2:, :]],
    ids=["behind a fixed start", "at the end", "at the very end", "at the last start", "in half of the episodes"],
)
def test_whatever_moves_anywhere_is_enough_to_be_seen(record, tmp_path, change):
    check_camera(film(record, tmp_path, change), "camera")
