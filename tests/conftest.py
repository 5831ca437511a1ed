"""Problems with known answers, for planners and for whoever plans."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_are
from torch import Tensor

from planners.types import ActionBounds, Objective, Score


@dataclass(frozen=True)
class LQR:
    """Linear dynamics and quadratic cost, 4 states and 2 actions, whose optimum is known for every horizon.

    The cost after the last step is the Riccati solution, so that the optimum is `start @ riccati @ start` however far
    one plans, and the optimal actions are `-gain @ state`.
    """

    dynamics: Tensor
    control: Tensor
    state_cost: Tensor
    action_cost: Tensor
    riccati: Tensor
    gain: Tensor
    starts: Tensor
    bounds: ActionBounds

    def step(self, states: Tensor, actions: Tensor) -> Tensor:
        """Returns the states `[..., 4]` that the actions `[..., 2]` lead to."""
        return states @ self.dynamics.T + actions @ self.control.T

    def objective(self, starts: Tensor) -> Objective:
        """Returns the cost of action sequences from `starts`, `[batch, 4]`."""

        def price(actions: Tensor) -> Score:
            states = starts[:, None]
            cost = torch.zeros(())
            for action in actions.unbind(dim=2):
                cost = cost + _quadratic(states, self.state_cost) + _quadratic(action, self.action_cost)
                states = self.step(states, action)
            cost = cost + _quadratic(states, self.riccati)
            return Score(cost=cost, violations=cost.new_zeros(*cost.shape, 0))

        return price

    def optimum(self, starts: Tensor) -> Tensor:
        """Returns the least cost from `starts`, `[batch]`."""
        return _quadratic(starts, self.riccati)

    def optimal_actions(self, starts: Tensor, horizon: int) -> Tensor:
        """Returns the cheapest sequences from `starts`, `[batch, horizon, 2]`."""
        states, actions = starts, []
        for _ in range(horizon):
            actions.append(-states @ self.gain.T)
            states = self.step(states, actions[-1])
        return torch.stack(actions, dim=1)


@pytest.fixture(scope="session")
def lqr() -> LQR:
    """An LQR with eight starts from which the optimal actions stay inside the bounds."""
    dynamics = np.array([[1.0, 0.0, 0.2, 0.0], [0.0, 1.0, 0.0, 0.2], [-0.1, 0.0, 1.0, 0.0], [0.0, 0.05, 0.0, 1.0]])
    control = np.array([[0.0, 0.1], [0.0, 0.0], [0.5, 0.0], [0.0, 0.5]])
    state_cost, action_cost = np.eye(4), 0.5 * np.eye(2)
    riccati = solve_discrete_are(dynamics, control, state_cost, action_cost)
    gain = np.linalg.solve(action_cost + control.T @ riccati @ control, control.T @ riccati @ dynamics)
    starts = np.random.default_rng(0).uniform(-0.5, 0.5, (8, 4))
    matrices = (dynamics, control, state_cost, action_cost, riccati, gain, starts)
    bounds = ActionBounds(low=-torch.ones(2), high=torch.ones(2))
    return LQR(*(torch.tensor(matrix, dtype=torch.float32) for matrix in matrices), bounds=bounds)


class Recorder:
    """An objective that remembers what it was asked to price."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.candidates: list[Tensor] = []

    def __call__(self, actions: Tensor) -> Score:
        self.candidates.append(actions.clone())
        return self.objective(actions)


@pytest.fixture(scope="session")
def record() -> Callable[[Objective], Recorder]:
    """Wraps an objective so that what it prices can be inspected in `.candidates`."""
    return Recorder


def _quadratic(vectors: Tensor, matrix: Tensor) -> Tensor:
    return ((vectors @ matrix) * vectors).sum(dim=-1)
