"""A linear-quadratic problem, whose optimum is known for every horizon."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import solve_discrete_are
from torch import Tensor

from benchmarks.planners.objectives import priced
from planners.types import ActionBounds, Score


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

    def objective(self, starts: Tensor) -> "LQRObjective":
        """Returns the cost of action sequences from `starts`, `[batch, 4]`."""
        return LQRObjective(self, starts)

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


@dataclass(frozen=True)
class LQRObjective:
    """The cost of action sequences, with the states that they lead to: a `TrajectoryObjective`."""

    lqr: LQR
    starts: Tensor

    def __call__(self, actions: Tensor) -> Score:
        return self.price(self.rollout(actions), actions)

    def rollout(self, actions: Tensor) -> Tensor:
        state = self.starts[:, None].expand(-1, actions.shape[1], -1)
        states = []
        for action in actions.unbind(dim=2):
            state = self.lqr.step(state, action)
            states.append(state)
        return torch.stack(states, dim=2)

    def predict(self, states: Tensor, actions: Tensor) -> Tensor:
        return self.lqr.step(self._before(states), actions)

    def price(self, states: Tensor, actions: Tensor) -> Score:
        running = _quadratic(self._before(states), self.lqr.state_cost) + _quadratic(actions, self.lqr.action_cost)
        return priced(running.sum(dim=2) + _quadratic(states[:, :, -1], self.lqr.riccati))

    def _before(self, states: Tensor) -> Tensor:
        start = self.starts[:, None, None].expand(-1, states.shape[1], 1, -1)
        return torch.cat([start, states[:, :, :-1]], dim=2)


def make_lqr() -> LQR:
    """Returns an LQR with eight starts from which the optimal actions stay inside the bounds."""
    dynamics = np.array([[1.0, 0.0, 0.2, 0.0], [0.0, 1.0, 0.0, 0.2], [-0.1, 0.0, 1.0, 0.0], [0.0, 0.05, 0.0, 1.0]])
    control = np.array([[0.0, 0.1], [0.0, 0.0], [0.5, 0.0], [0.0, 0.5]])
    state_cost, action_cost = np.eye(4), 0.5 * np.eye(2)
    riccati = solve_discrete_are(dynamics, control, state_cost, action_cost)
    gain = np.linalg.solve(action_cost + control.T @ riccati @ control, control.T @ riccati @ dynamics)
    starts = np.random.default_rng(0).uniform(-0.5, 0.5, (8, 4))
    matrices = (dynamics, control, state_cost, action_cost, riccati, gain, starts)
    bounds = ActionBounds(low=-torch.ones(2), high=torch.ones(2))
    return LQR(*(torch.tensor(matrix, dtype=torch.float32) for matrix in matrices), bounds=bounds)


def _quadratic(vectors: Tensor, matrix: Tensor) -> Tensor:
    return ((vectors @ matrix) * vectors).sum(dim=-1)
