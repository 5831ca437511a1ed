import pytest

from jepa_mpc.hints import hint


@pytest.mark.parametrize(
    ("given", "known", "told"),
    [
        ("cemm", ["cem", "icem"], ", did you mean 'cem'?"),
        ("num_samples", ["seed", "planner.num_samples"], ", did you mean 'planner.num_samples'?"),
        ("zzz", ["cem"], ""),
        (3, {"cem": 1}, ""),
    ],
)
def test_the_nearest_known_name_is_asked_for(given, known, told):
    assert hint(given, known) == told
