"""Intrinsic costs: immutable, without a trainable parameter; gradients flow to the actions alone."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from jepa_mpc.ranges import check_number
from world_model.types import LatentGoal, LatentTrajectory


class GoalDistance:
    """Squared distance to the goal in embedding space, over the dimensions that the goal asks for.

    Args:
        last_step_weight: Weight of the last imagined step; the others weigh 1. Above 0.
    """

    def __init__(self, *, last_step_weight: float) -> None:
        check_number("last_step_weight", last_step_weight, above=0)
        self._last_step_weight = last_step_weight

    def __call__(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:
        """Returns the mean over the asked dimensions, summed over the horizon: `[batch, num_samples]`."""
        asked = goal.mask.to(trajectory.embeddings.dtype)
        weights = asked / asked.sum(dim=1, keepdim=True)  # [batch, embed_dim]
        squares = (trajectory.embeddings - goal.embedding[:, None, None]).square()
        distances = torch.einsum("bshe,be->bsh", squares, weights)
        return distances.sum(dim=2) + (self._last_step_weight - 1.0) * distances[:, :, -1]


class ActionCost(ABC):
    """A cost of actions alone, in units of the robot's range; see `InUnits`."""

    @abstractmethod
    def __call__(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:
        """Returns `[batch, num_samples]`."""


class ControlEffort(ActionCost):
    """How strongly the robot is driven."""

    def __call__(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:  # noqa: ARG002
        """Returns the mean square of the actions, summed over the horizon: `[batch, num_samples]`."""
        return trajectory.actions.square().mean(dim=3).sum(dim=2)


class ActionSmoothness(ActionCost):
    """How much the action changes from step to step, the step from the executed one to the first included."""

    def __call__(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:  # noqa: ARG002
        """Returns the mean square of the changes, summed over the horizon: `[batch, num_samples]`."""
        batch, num_samples = trajectory.actions.shape[:2]
        previous = trajectory.previous_action[:, None, None].expand(batch, num_samples, 1, -1)
        return torch.cat([previous, trajectory.actions], dim=2).diff(dim=2).square().mean(dim=3).sum(dim=2)
