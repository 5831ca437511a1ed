import numpy as np
import pytest

from envs.adapters.formula import Formula

ENTRIES = {
    "observation": np.arange(10.0),
    "achieved.hand": np.array([1.0, 2.0]),
    "frame": np.zeros((4, 4, 3), np.uint8),
    "target pos-1": np.array([3.0, 4.0]),
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("observation[2:4]", [2, 3]),
        ("observation[:2]", [0, 1]),
        ("observation[-2:]", [8, 9]),
        ("achieved.hand", [1, 2]),
        ("observation[8:10] + observation[4:6]", [12, 14]),
        ("observation[8:10]-achieved.hand", [7, 7]),
        (" - achieved.hand ", [-1, -2]),
        ("'target pos-1'[1:2]", [4]),
        ('achieved.hand + "target pos-1"', [4, 6]),
    ],
)
def test_it_reads_parts_of_entries_and_sums_of_them(text, expected):
    reading = Formula.parse(text).read(ENTRIES)
    assert reading.dtype == np.float32
    assert reading.tolist() == expected


def test_what_it_reads_is_an_array_of_its_own():
    for text in ("achieved.hand", "observation[2:4]", "frame"):
        reading = Formula.parse(text).read(ENTRIES)
        assert not any(np.shares_memory(reading, entry) for entry in ENTRIES.values())


def test_an_image_is_read_as_it_is():
    assert Formula.parse("frame").read(ENTRIES).dtype == np.uint8


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        None,
        3,
        "observation[2]",
        "observation[2:4",
        "observation observation",
        "a + ",
        "a * b",
        "1:2",
        "a[-:2]",
        "'a",
    ],
)
def test_what_is_no_formula_is_refused(text):
    with pytest.raises(ValueError, match="it must name entries of the observation, as in"):
        Formula.parse(text)


def test_parts_of_different_shapes_are_no_sum():
    with pytest.raises(ValueError, match=r"its parts must have one shape, got \(2,\) and \(1,\)"):
        Formula.parse("observation[0:2] + observation[2:3]").read(ENTRIES)
