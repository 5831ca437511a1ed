"""Randomness of a run: each purpose draws from the run's seed for itself, so that no part disturbs another."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from torch import Generator

from agent.run.config.composing import Config
from world_model.building import building


def rng(config: Config, purpose: str) -> np.random.Generator:
    """Returns a generator for one purpose, which no other shares."""
    return np.random.default_rng([config.values.seed, *purpose.encode()])


@contextmanager
def first_weights(config: Config, module: str) -> Iterator[None]:
    """Lets a module draw its first weights, the same whatever else is built and whatever the process has set."""
    with building(Generator("cpu").manual_seed(int(rng(config, f"weights of {module}").integers(2**62)))):
        yield
