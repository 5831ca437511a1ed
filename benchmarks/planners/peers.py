"""The peers that planners are compared with, where they can be imported: `pip install -e '.[peers]'`."""

import contextlib
import importlib
import importlib.util
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor

from planners.types import Objective

SWM_SAMPLES, SWM_ITERATIONS, SWM_ELITES = 300, 30, 30
"""The defaults of stable-worldmodel's CEM; its initial std is 1."""


def load_swm_cem() -> Any:
    """Returns stable-worldmodel's `CEMSolver`.

    Raises:
        ImportError: It is not installed, or not as it was.
    """
    if "stable_worldmodel" not in sys.modules:
        spec = importlib.util.find_spec("stable_worldmodel")
        if spec is None:
            raise ImportError("no module named 'stable_worldmodel'")
        # The package's own __init__ imports environments, video and vision libraries that its solvers do not need and
        # that often fail beside a CPU-only torch: an empty package leads to its modules as well.
        sys.modules["stable_worldmodel"] = importlib.util.module_from_spec(spec)
    return importlib.import_module("stable_worldmodel.solver.cem").CEMSolver


def load_pytorch_mppi() -> Any:
    """Returns pytorch-mppi's `MPPI`.

    Raises:
        ImportError: It is not installed, or not as it was.
    """
    return importlib.import_module("pytorch_mppi").MPPI


@dataclass(frozen=True)
class _PlanConfig:
    """What a solver of stable-worldmodel reads of its `PlanConfig`."""

    horizon: int
    action_block: int = 1


@dataclass(frozen=True)
class _Model:
    """An objective as what a solver of stable-worldmodel plans with."""

    objective: Objective

    def get_cost(self, info_dict: Any, action_candidates: Tensor) -> Tensor:  # noqa: ARG002
        return self.objective(action_candidates).cost


def swm_cem(
    objective: Objective,
    *,
    horizon: int,
    action_dim: int,
    num_samples: int = SWM_SAMPLES,
    num_iterations: int = SWM_ITERATIONS,
    num_elites: int = SWM_ELITES,
    seed: int = 0,
) -> Callable[[], Tensor]:
    """Returns a call of stable-worldmodel's CEM on an objective; the call returns its plan, `[1, horizon, action_dim]`.

    Each call takes up the solver's generator where the last one left it.

    Raises:
        ImportError: stable-worldmodel cannot be imported.
    """
    solver = load_swm_cem()(
        model=_Model(objective), num_samples=num_samples, n_steps=num_iterations, topk=num_elites, seed=seed
    )
    solver.configure(
        action_space=gymnasium.spaces.Box(-1, 1, (1, action_dim), np.float32),
        n_envs=1,
        config=_PlanConfig(horizon=horizon),
    )
    problem = {"problem": torch.zeros(1, 1)}

    def solve() -> Tensor:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints a line a call
            actions: Tensor = solver.solve(problem)["actions"]
        return actions.clone()

    return solve


def reference_cem(
    objective: Objective,
    *,
    horizon: int,
    action_dim: int,
    num_samples: int = SWM_SAMPLES,
    num_iterations: int = SWM_ITERATIONS,
    num_elites: int = SWM_ELITES,
    seed: int = 0,
) -> Tensor:
    """Returns what `swm_cem` plans in its first call, without the peer: `[1, horizon, action_dim]`, to the last bit.

    A Gaussian of std 1 around 0 without bounds, its mean among the candidates; the plan is the last mean.
    """
    generator = torch.Generator().manual_seed(seed)
    mean, std = torch.zeros(1, horizon, action_dim), torch.ones(1, horizon, action_dim)
    for _ in range(num_iterations):
        noise = torch.randn(1, num_samples, horizon, action_dim, generator=generator)
        candidates = mean[:, None] + std[:, None] * noise
        candidates[:, 0] = mean
        best = objective(candidates).cost[0].topk(num_elites, largest=False).indices
        elites = candidates[:, best]
        mean, std = elites.mean(dim=1), elites.std(dim=1)
    return mean
