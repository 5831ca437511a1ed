"""Randomness of a training: each purpose draws for itself at each step, so that it goes on anywhere."""

import numpy as np

SPLIT, INITIAL, TRAIN, VALIDATION, DROPOUT = range(5)
"""Purposes."""


def rng_of(seed: int, purpose: int, step: int) -> np.random.Generator:
    """Returns a generator for one purpose at one step, so that no generator is carried from step to step."""
    return np.random.default_rng((seed, purpose, step))
