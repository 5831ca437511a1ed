"""Objectives that show what planners do: one that remembers, and any function of actions with states."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from planners.types import Objective, Score, TrajectoryObjective


def priced(cost: Tensor) -> Score:
    """Returns a score without constraints."""
    return Score(cost=cost, violations=cost.new_zeros(*cost.shape, 0))


def hopeless(actions: Tensor) -> Score:
    """An objective under which no candidate has a cost."""
    return priced(actions.new_full(actions.shape[:2], math.nan))


@dataclass(frozen=True)
class FunctionObjective:
    """Any function of actions as a `TrajectoryObjective`: its state is the actions so far, one slot a step."""

    function: Callable[[Tensor], Score]

    def __call__(self, actions: Tensor) -> Score:
        return self.function(actions)

    def rollout(self, actions: Tensor) -> Tensor:
        horizon = actions.shape[2]
        so_far = actions.new_ones(horizon, horizon).tril()[:, :, None]
        return (so_far * actions[:, :, None]).flatten(3)  # [batch, num_samples, horizon, horizon * dim]

    def predict(self, states: Tensor, actions: Tensor) -> Tensor:
        horizon = actions.shape[2]
        before = torch.cat([torch.zeros_like(states[:, :, :1]), states[:, :, :-1]], dim=2)
        slots = actions.new_ones(horizon).diag()[:, :, None] * actions[:, :, :, None]
        return before + slots.flatten(3)

    def price(self, states: Tensor, actions: Tensor) -> Score:
        return self.function(states[:, :, -1].reshape(actions.shape))


def showing_states(objective: Objective) -> TrajectoryObjective:
    """Returns the objective itself where it shows states, else one of the same cost that does."""
    return objective if isinstance(objective, TrajectoryObjective) else FunctionObjective(objective)


class Recorder:
    """An objective that remembers what it was asked to price, and counts it as evaluations."""

    def __init__(self, objective: Objective) -> None:
        self.objective = showing_states(objective)
        self.candidates: list[Tensor] = []
        self.num_evaluations = 0

    def __call__(self, actions: Tensor) -> Score:
        self._remember(actions)
        return self.objective(actions)

    def rollout(self, actions: Tensor) -> Tensor:
        self._remember(actions)
        return self.objective.rollout(actions)

    def predict(self, states: Tensor, actions: Tensor) -> Tensor:
        self._remember(actions)
        return self.objective.predict(states, actions)

    def price(self, states: Tensor, actions: Tensor) -> Score:
        return self.objective.price(states, actions)

    def _remember(self, actions: Tensor) -> None:
        self.candidates.append(actions.detach().clone())
        self.num_evaluations += actions.shape[1] * (3 if actions.requires_grad else 1)
