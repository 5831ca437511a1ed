"""Objectives from a model of one step: its rollouts are priced step by step."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.planners.objectives import priced
from planners.types import Score


@dataclass(frozen=True)
class RolloutObjective:
    """The cost of action sequences under given dynamics, with the states that they lead to: a `TrajectoryObjective`.

    Attributes:
        start: `[batch, state_dim]`, where each problem starts.
        step: States `[..., state_dim]` and actions `[..., action_dim]` to the states that follow.
        step_cost: The states after a step and its actions to the cost of the step, `[...]`.
    """

    start: Tensor
    step: Callable[[Tensor, Tensor], Tensor]
    step_cost: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, actions: Tensor) -> Score:
        state, cost = self._start(actions), actions.new_zeros(actions.shape[:2])
        for action in actions.unbind(dim=2):
            state = self.step(state, action)
            cost = cost + self.step_cost(state, action)
        return priced(cost)

    def rollout(self, actions: Tensor) -> Tensor:
        state, states = self._start(actions), []
        for action in actions.unbind(dim=2):
            state = self.step(state, action)
            states.append(state)
        return torch.stack(states, dim=2)

    def predict(self, states: Tensor, actions: Tensor) -> Tensor:
        before = torch.cat([self._start(actions)[:, :, None], states[:, :, :-1]], dim=2)
        return self.step(before, actions)

    def price(self, states: Tensor, actions: Tensor) -> Score:
        return priced(self.step_cost(states, actions).sum(dim=2))

    def _start(self, actions: Tensor) -> Tensor:
        return self.start.to(actions)[:, None].expand(-1, actions.shape[1], -1)
