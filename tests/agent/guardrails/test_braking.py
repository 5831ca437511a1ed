import numpy as np
import pytest

from agent.guardrails.braking import longest_step, way_to_rest


@pytest.mark.parametrize(
    ("step", "max_change", "way"),
    [(0.0, 0.25, 0.0), (0.2, 0.25, 0.2), (1.0, 0.25, 1.0 + 0.75 + 0.5 + 0.25), (1.0, 0.4, 1.0 + 0.6 + 0.2), (1, 2, 1)],
)
def test_the_way_is_the_sum_of_the_steps(step, max_change, way):
    assert way_to_rest(step, max_change) == pytest.approx(way)


def test_the_longest_step_is_the_inverse_of_the_way():
    rng = np.random.default_rng(0)
    for step, max_change in rng.uniform([0.0, 0.01], [1.0, 2.0], (500, 2)):
        assert longest_step(way_to_rest(step, max_change), max_change) == pytest.approx(step, abs=1e-9)
