"""Random changes of camera frames: how far they go, and that a window is changed as a whole."""

import numpy as np
import pytest
import torch

from world_model.training.augmentation import Augmentation

SIZE = 12


def augmentation(**changes):
    return Augmentation(**{"max_shift": 0, "max_brightness": 0.0, "max_contrast": 0.0, **changes})


def rng(seed=0):
    return np.random.default_rng(seed)


def dots(places):
    """Returns one window of black frames `[1, time, SIZE, SIZE, 3]`, each with a white dot at (row, column)."""
    images = torch.zeros(1, len(places), SIZE, SIZE, 3, dtype=torch.uint8)
    for time, (row, column) in enumerate(places):
        images[0, time, row, column] = 255
    return images


def test_a_shift_moves_a_dot_by_the_same_whole_pixels_in_all_frames_of_a_window():
    places = [(5, 5), (5, 6), (7, 6), (5, 4)]
    windows = dots(places).expand(400, -1, -1, -1, -1)
    shifted = augmentation(max_shift=2)(windows, rng())
    assert shifted.dtype == torch.uint8 and shifted.shape == windows.shape
    found = set()
    for window in shifted:
        frames, rows, columns = (window[..., 0] == 255).nonzero().unbind(dim=1)
        assert frames.tolist() == [0, 1, 2, 3]  # one dot a frame
        moves = {(int(r) - row, int(c) - column) for r, c, (row, column) in zip(rows, columns, places, strict=True)}
        assert len(moves) == 1
        found |= moves
    assert found == {(down, right) for down in range(-2, 3) for right in range(-2, 3)}


def test_what_comes_in_from_outside_repeats_the_border():
    ramp = torch.arange(SIZE * SIZE, dtype=torch.uint8).view(1, 1, SIZE, SIZE, 1).expand(50, 2, -1, -1, 3)
    seen = set()
    for window in augmentation(max_shift=3)(ramp, rng()):
        corner = int(window[0, 6, 6, 0])
        down, right = 6 - corner // SIZE, 6 - corner % SIZE
        rows = (torch.arange(SIZE) - down).clamp(0, SIZE - 1)
        columns = (torch.arange(SIZE) - right).clamp(0, SIZE - 1)
        assert torch.equal(window[1, :, :, 2], ramp[0, 1, rows][:, columns][..., 2])
        seen.add((down, right))
    assert len(seen) > 20


def test_pictures_need_not_be_square():
    images = torch.zeros(30, 2, 6, 9, 3, dtype=torch.uint8)
    images[:, :, 2, 7] = 255
    places = (augmentation(max_shift=1)(images, rng())[:, 0, :, :, 0] == 255).nonzero()[:, 1:]
    assert {tuple(place) for place in places.tolist()} == {(r, c) for r in (1, 2, 3) for c in (6, 7, 8)}


def test_brightness_changes_a_window_by_one_amount_within_its_bound():
    grey = torch.full((500, 3, 4, 4, 3), 100, dtype=torch.uint8)
    bright = augmentation(max_brightness=0.2)(grey, rng())
    amounts = bright[:, 0, 0, 0, 0] - 100
    assert torch.equal(bright - 100, amounts[:, None, None, None, None].expand_as(bright))
    assert amounts.abs().max() <= 0.2 * 255
    assert amounts.min() < -0.19 * 255 and amounts.max() > 0.19 * 255
    assert abs(amounts.mean()) < 0.02 * 255


def test_contrast_changes_the_distance_from_the_mean_within_its_bound():
    halves = torch.full((500, 2, 4, 4, 3), 60, dtype=torch.uint8)
    halves[:, :, 2:] = 140
    changed = augmentation(max_contrast=0.3)(halves, rng())
    torch.testing.assert_close(changed.mean(dim=(1, 2, 3, 4)), torch.full((500,), 100.0))
    factors = (changed[:, :, 2:] - 100) / 40
    assert torch.allclose(factors, factors[:, :1, :1, :1, :1].expand_as(factors), atol=1e-5)
    assert 0.7 - 1e-5 <= factors.min() < 0.71 and 1.29 < factors.max() <= 1.3 + 1e-5


def test_changed_light_stays_within_the_range_of_colours():
    halves = torch.zeros(200, 1, 4, 4, 3, dtype=torch.uint8)
    halves[:, :, 2:] = 255
    changed = augmentation(max_brightness=0.5, max_contrast=1.0)(halves, rng())
    assert changed.min() == 0 and changed.max() == 255


def test_windows_are_changed_differently_and_by_the_generator_alone():
    images = torch.from_numpy(rng(1).integers(0, 256, (8, 2, SIZE, SIZE, 3), dtype=np.uint8))
    change = augmentation(max_shift=3, max_brightness=0.1, max_contrast=0.1)
    first, again, other = change(images, rng(0)), change(images, rng(0)), change(images, rng(1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    same = augmentation(max_brightness=0.1)(images[:1].expand(8, -1, -1, -1, -1), rng())
    assert len({float(window.mean()) for window in same}) == 8


def test_where_nothing_may_change_nothing_is_drawn_and_the_images_are_the_same_ones():
    images, generator = dots([(1, 2)]), rng()
    assert augmentation()(images, generator) is images
    assert generator.integers(2**63) == rng().integers(2**63)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_shift": -1}, "training.augmentation.max_shift must be at least 0, got -1"),
        ({"max_shift": 1.5}, "training.augmentation.max_shift must be .*, got 1.5"),
        ({"max_brightness": -0.1}, "training.augmentation.max_brightness must be at least 0"),
        ({"max_brightness": 1.1}, "training.augmentation.max_brightness must be .* at most 1"),
        ({"max_contrast": 2}, "training.augmentation.max_contrast must be .* at most 1"),
        ({"max_contrast": float("nan")}, "training.augmentation.max_contrast must be .* finite"),
    ],
)
def test_changes_without_meaning_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        augmentation(**values)


@pytest.mark.parametrize("values", [{}, {"max_shift": 1}, {"shift": 1, "max_brightness": 0, "max_contrast": 0}, None])
def test_a_config_of_other_keys_is_refused(values):
    with pytest.raises(ValueError, match=r"training\.augmentation must have the keys"):
        Augmentation.from_config(values)
