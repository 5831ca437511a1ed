"""Dynamics that add a learned change to the newest embedding."""

import torch
from torch import Tensor, nn

from jepa_mpc.ranges import check_count
from world_model.dynamics.base import Dynamics, State
from world_model.layout import Layout
from world_model.perceptron import hidden_layers, zero_linear


class ResidualMLPDynamics(Dynamics):
    """Predicts the change of the embedding by a multi-layer perceptron; untrained, it predicts that nothing changes.

    It sees as many embeddings, and the actions after them, as the context is long, and nothing older.

    Args:
        layout: How an embedding is divided.
        action_dim: Size of an encoded action.
        context_length: Frames that it sees.
        hidden_dim: Width of every hidden layer.
        num_layers: Hidden layers.

    Raises:
        ValueError: A size is below 1.
    """

    def __init__(
        self, *, layout: Layout, action_dim: int, context_length: int, hidden_dim: int, num_layers: int
    ) -> None:
        super().__init__()
        check_count("hidden_dim", hidden_dim, least=1)
        check_count("num_layers", num_layers, least=1)
        self._context_length, self._layout = context_length, layout
        input_dim = context_length * (layout.seen_dim + action_dim)
        layers = hidden_layers(input_dim, hidden_dim, num_layers)
        last = zero_linear(hidden_dim, layout.embed_dim)
        self.change: nn.Module = self._writing(nn.Sequential(*layers), last)

    def _writing(self, hidden: nn.Sequential, change: nn.Linear) -> nn.Module:
        """Returns what makes a change `[..., embed_dim]` of what is known, from hidden layers and what follows them."""
        return nn.Sequential(*hidden, change)

    @property
    def least_context(self) -> int:
        """As many frames as it sees."""
        return self._context_length

    def begin(self, embeddings: Tensor, actions: Tensor) -> State:
        """Keeps the newest embeddings, `[rows, context, embed_dim]`, and the actions between them, flat."""
        older = embeddings.shape[1] - self._context_length
        return embeddings[:, older:], actions[:, older:].flatten(1)

    def predict(self, state: State, action: Tensor) -> tuple[State, Tensor]:
        """Tells where an action leads, and forgets the oldest frame; see `Dynamics.predict`."""
        embeddings, actions = state
        prediction = embeddings[:, -1] + self.change(
            torch.cat([self._layout.seen(embeddings).flatten(1), actions, action], dim=1)
        )
        return self._without_oldest(state, action), prediction

    def take_in(self, foretold: State, embedding: Tensor) -> State:
        """Goes on by what came; see `Dynamics.take_in`."""
        embeddings, actions = foretold
        newest = embedding[:, None]
        return torch.cat([embeddings, newest], dim=1) if self._context_length > 1 else newest, actions

    def follow(self, state: State, action: Tensor, embedding: Tensor) -> State:
        """Goes on by what came, whatever would have been predicted; see `Dynamics.follow`."""
        return self.take_in(self._without_oldest(state, action), embedding)

    def foresee(self, state: State, actions: Tensor, embeddings: Tensor) -> tuple[State, Tensor]:
        """Predicts from every stretch that is as long as the context; see `Dynamics.foresee`."""
        frames = torch.cat([state[0], embeddings], dim=1)
        past = state[1].reshape(len(actions), self._context_length - 1, actions.shape[2])
        done = torch.cat([past, actions], dim=1)
        stretches = [
            values.unfold(1, self._context_length, 1).transpose(2, 3).flatten(2)
            for values in (self._layout.seen(frames[:, :-1]), done)
        ]  # each [rows, time, context * size]
        predictions = frames[:, self._context_length - 1 : -1] + self.change(torch.cat(stretches, dim=2))
        return self.begin(frames, done), predictions

    def _without_oldest(self, state: State, action: Tensor) -> State:
        """Returns the embeddings that are still seen behind an action, and the actions after them, it among them."""
        embeddings, actions = state
        if self._context_length > 1:
            actions = torch.cat([actions, action], dim=1)[:, action.shape[1] :]
        return embeddings[:, 1:], actions
