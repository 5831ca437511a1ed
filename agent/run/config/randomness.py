"""Randomness of a run: each purpose draws from the run's seed for itself, so that no part disturbs another."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from agent.run.config.composing import Config


def rng(config: Config, purpose: str) -> np.random.Generator:
    """Returns a generator for one purpose, which no other shares."""
    return np.random.default_rng([config.values.seed, *purpose.encode()])


@contextmanager
def first_weights(config: Config, module: str) -> Iterator[None]:
    """Lets a module draw its first weights, the same whatever else is built; the global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng(config, f"weights of {module}").integers(2**62)))
        yield
