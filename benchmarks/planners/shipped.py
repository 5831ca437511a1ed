"""The shipped planners, built from their yamls: a newcomer appears in every benchmark by itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from torch import Generator

import configs
from benchmarks.planners.objectives import FunctionObjective, priced
from planners.types import ActionBounds, Budget, Planner

LENGTHS = ("num_iterations", "num_steps", "beam_width")
"""Parameters that set how long a planner searches."""


def planner_configs() -> dict[str, DictConfig]:
    """Returns the name and config of every shipped planner."""
    found = {}
    for path in sorted((Path(configs.__file__).parent / "planner").glob("*.yaml")):
        config = OmegaConf.load(path)
        assert isinstance(config, DictConfig)
        found[path.stem] = config
    return found


def build(config: DictConfig, **changes: Any) -> Planner[Any]:
    """Returns the planner of a config, with other values wherever it has parameters of these names."""
    config = config.copy()
    for node in _nodes(config):
        node.update({name: value for name, value in changes.items() if name in node})
    planner: Planner[Any] = instantiate(config)
    return planner


def build_to_spend(config: DictConfig, num_evaluations: int, *, bounds: ActionBounds, horizon: int) -> Planner[Any]:
    """Returns the planner of a config, searching long enough to spend so many evaluations, if it ever can.

    All that sets how long it searches is doubled until it asks for as many; a `Budget` then cuts it to as many.
    """
    config, asked = config.copy(), 0
    while asked < (asks := evaluations(build(config), bounds=bounds, horizon=horizon)) < num_evaluations:
        asked = asks
        for node in _nodes(config):
            node.update({name: 2 * node[name] for name in LENGTHS if name in node})
    return build(config)


def evaluations(planner: Planner[Any], *, bounds: ActionBounds, horizon: int) -> int:
    """Returns how many evaluations a planner asks for in its first call."""
    noise = planner.sample_noise([Generator()], bounds=bounds, horizon=horizon)
    state = planner.init(bounds, batch_size=1, horizon=horizon)
    free = FunctionObjective(lambda actions: priced((0 * actions).sum(dim=(2, 3))))
    plan, _ = planner.plan(free, state, noise=noise, bounds=bounds, budget=Budget())
    return plan.num_evaluations


def generator(*seeds: int) -> Generator:
    """Returns a generator for a combination of small numbers, such as a problem and a call."""
    return Generator().manual_seed(int(np.random.SeedSequence(seeds).generate_state(1)[0]))


def unit_box(action_dim: int) -> ActionBounds:
    """Returns the box [-1, 1]."""
    return ActionBounds(low=-torch.ones(action_dim), high=torch.ones(action_dim))


def _nodes(config: DictConfig) -> Iterator[DictConfig]:
    yield config
    for value in config.values():
        if isinstance(value, DictConfig):
            yield from _nodes(value)
