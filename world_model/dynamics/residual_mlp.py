"""Dynamics that add a learned change to the newest embedding."""

import torch
from torch import Tensor, nn

from jepa_mpc.ranges import check_count
from world_model.dynamics.base import Dynamics, State


class ResidualMLPDynamics(Dynamics):
    """Predicts the change of the embedding by a multi-layer perceptron; untrained, it predicts that nothing changes.

    It sees as many embeddings, and the actions after them, as the context is long, and nothing older.

    Args:
        embed_dim: Size of an embedding.
        action_dim: Size of an encoded action.
        context_length: Frames that it sees.
        hidden_dim: Width of every hidden layer.
        num_layers: Hidden layers.

    Raises:
        ValueError: A size is below 1.
    """

    def __init__(
        self, *, embed_dim: int, action_dim: int, context_length: int, hidden_dim: int, num_layers: int
    ) -> None:
        super().__init__()
        check_count("hidden_dim", hidden_dim, least=1)
        check_count("num_layers", num_layers, least=1)
        self._context_length = context_length
        input_dim = context_length * (embed_dim + action_dim)
        layers: list[nn.Module] = []
        for layer in range(num_layers):
            layers += [nn.Linear(hidden_dim if layer else input_dim, hidden_dim), nn.SiLU()]
        last = nn.Linear(hidden_dim, embed_dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.change = nn.Sequential(*layers, last)

    def begin(self, embeddings: Tensor, actions: Tensor) -> State:
        """Keeps the embeddings, `[rows, context, embed_dim]`, and the actions between them, flat."""
        return embeddings, actions.flatten(1)

    def step(self, state: State, action: Tensor) -> tuple[State, Tensor]:
        """Goes on by one action; see `Dynamics.step`."""
        embeddings, actions = state
        prediction = embeddings[:, -1] + self.change(torch.cat([embeddings.flatten(1), actions, action], dim=1))
        newest = prediction[:, None]
        if self._context_length > 1:
            newest = torch.cat([embeddings[:, 1:], newest], dim=1)
            actions = torch.cat([actions, action], dim=1)[:, action.shape[1] :]
        return (newest, actions), prediction

    def arrive(self, state: State, embedding: Tensor) -> State:
        """Exchanges the newest embedding; see `Dynamics.arrive`."""
        embeddings, actions = state
        return torch.cat([embeddings[:, :-1], embedding[:, None]], dim=1), actions

    def foresee(self, embeddings: Tensor, actions: Tensor) -> Tensor:
        """Predicts from every stretch that is as long as the context; see `Dynamics.foresee`."""
        if embeddings.shape[1] < self._context_length:
            return embeddings[:, :0]
        stretches = [
            values.unfold(1, self._context_length, 1).transpose(2, 3).flatten(2) for values in (embeddings, actions)
        ]  # each [rows, foreseen, context * size]
        predictions: Tensor = embeddings[:, self._context_length - 1 :] + self.change(torch.cat(stretches, dim=2))
        return predictions
