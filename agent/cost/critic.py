"""The critic: the only cost that learns. It predicts what is still to come (LeCun 2022, section 3.2)."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from agent.cost.types import Critic
from agent.features import goal_features, perceptron
from jepa_mpc.ranges import check_count, check_number
from world_model.types import LatentGoal, LatentTrajectory


class CriticNetwork(ABC, nn.Module):
    """A critic with weights. A goal may be partial: what it does not ask for, it does not see."""

    @abstractmethod
    def forward(self, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        """Returns `[num_members, batch, num_states]`; see `Critic`."""


class ValueEnsemble(CriticNetwork):
    """Several multi-layer perceptrons with weights of their own: where they differ, none of them knows.

    Nothing keeps an answer above 0. A bound that saturates there would have no gradient left, and a member that once
    said 0 near a goal would go on saying so.

    Args:
        embed_dim: Size of an embedding.
        num_members: Of the ensemble, at least 1.
        hidden_dim: Width of every hidden layer.
        num_layers: Hidden layers, at least 1.
    """

    def __init__(self, *, embed_dim: int, num_members: int, hidden_dim: int, num_layers: int) -> None:
        super().__init__()
        for name, value in (("num_members", num_members), ("hidden_dim", hidden_dim), ("num_layers", num_layers)):
            check_count(f"{name} of a critic", value, least=1)
        self.members = nn.ModuleList(
            perceptron(4 * embed_dim, hidden_dim, num_layers, output_dim=1) for _ in range(num_members)
        )

    def forward(self, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        """Returns `[num_members, batch, num_states]`."""
        features = goal_features(embeddings, goal)
        # One after the other: together, their hidden layers no longer fit into a core's cache.
        return torch.stack([member(features)[:, :, 0] for member in self.members])


class Quasimetric(CriticNetwork):
    """A distance that obeys the triangle inequality, and need not be the same there and back.

    Metric residual network (Liu et al. 2023, equation 4): in a space into which states and goals are mapped, the
    largest of the coordinates' one-sided differences plus the Euclidean distance. Each is 0 from a point to itself and
    keeps the triangle inequality, and so does the sum, to 1e-6, by which the Euclidean distance is smoothed. A state
    is mapped as the goal that asks for all of it, so that `d(s, g) <= d(s, t) + d(t, g)` for any states s and t and any
    goal g, a partial one too.

    Args:
        embed_dim: Size of an embedding.
        hidden_dim: Width of every hidden layer.
        num_layers: Hidden layers, at least 1.
        latent_dim: Of each half of the space in which distances are taken.
    """

    def __init__(self, *, embed_dim: int, hidden_dim: int, num_layers: int, latent_dim: int) -> None:
        super().__init__()
        for name, value in (("hidden_dim", hidden_dim), ("num_layers", num_layers), ("latent_dim", latent_dim)):
            check_count(f"{name} of a critic", value, least=1)
        self.map = perceptron(2 * embed_dim, hidden_dim, num_layers, output_dim=2 * latent_dim)
        self._latent_dim = latent_dim

    def forward(self, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        """Returns `[1, batch, num_states]`, at least 0."""
        mask = goal.mask.to(embeddings.dtype)
        start = self.map(torch.cat([embeddings, torch.ones_like(embeddings)], dim=2))
        end = self.map(torch.cat([goal.embedding * mask, mask], dim=1))[:, None]  # [batch, 1, 2 * latent_dim]
        one_sided, both_sided = (start - end).split(self._latent_dim, dim=2)
        euclidean = (both_sided.square().sum(dim=2) + 1e-12).sqrt() - 1e-6  # with a gradient at 0
        distance: Tensor = one_sided.amax(dim=2).relu() + euclidean.relu()
        return distance[None]


class CriticCost:
    """What a critic makes of an imagined future: a trainable cost TC_i of the cost module.

    Args:
        critic: Predicts what is still to come.
        last_step_weight: Weight of the last imagined step; the others weigh 1. Above 0.
        doubt_weight: Standard deviations of the ensemble that are added to its mean, at least 0: it keeps imagination
            out of where the critic was never trained.
    """

    def __init__(self, *, critic: Critic, last_step_weight: float, doubt_weight: float) -> None:
        check_number("last_step_weight", last_step_weight, above=0)
        check_number("doubt_weight", doubt_weight, least=0)
        self._critic = critic
        self._last_step_weight = last_step_weight
        self._doubt_weight = doubt_weight

    def __call__(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:
        """Returns the predictions, summed over the horizon: `[batch, num_samples]`."""
        opinions = self._critic(trajectory.embeddings.flatten(1, 2), goal)  # [num_members, batch, samples * horizon]
        predictions = opinions.mean(dim=0).clamp_min(0.0)  # no state is better than being there
        if self._doubt_weight > 0.0:
            predictions = predictions + self._doubt_weight * opinions.std(dim=0, correction=0)
        predictions = predictions.view(trajectory.embeddings.shape[:3])
        return predictions.sum(dim=2) + (self._last_step_weight - 1.0) * predictions[:, :, -1]
