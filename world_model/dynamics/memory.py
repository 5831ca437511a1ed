"""Dynamics with a memory of the world: values under keys, read and softly updated (LeCun 2022, section 4.9)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from jepa_mpc.ranges import check_count
from world_model.dynamics.base import Dynamics, State
from world_model.layout import Layout
from world_model.perceptron import hidden_layers, zero_linear

LARGEST_MEMORY = 2**16
"""Numbers of one memory. A planner carries one for each of its candidates: a thousand of these take 256 MiB."""


@dataclass(frozen=True)
class MemoryContents:
    """What a memory holds, and where an action makes it look.

    Attributes:
        keys: `[num_slots, key_dim]`, the same in every episode.
        values: `[rows, num_slots, value_dim]`, each from -1 to 1 once it was written.
        attention: `[rows, num_slots]`, the share of each slot in what is read, and of how far it is then updated.
    """

    keys: Tensor
    values: Tensor
    attention: Tensor


class MemoryDynamics(Dynamics):
    """Predicts the change of the embedding from what it reads in a memory; untrained, that nothing changes.

    At each step a query is made from the newest embedding and the action; `attention = softmax(match(keys, query))`
    says where it is read, and, once it is known what came, where that is written. What is written is told by how the
    prediction was off, so that a memory of what cannot be seen builds up: how a thing slides, what is out of sight. In
    imagination nothing is off.

    Keys are learned, and so are the values with which the memory begins at the oldest frame; from then on values are
    carried through what is seen and what is imagined.

    Args:
        layout: How an embedding is divided.
        action_dim: Size of an encoded action.
        context_length: Frames of a context; what to write is learned where one came after another, so at least 2.
        num_slots: Keys, and values.
        key_dim: Size of a key.
        value_dim: Size of a value.
        hidden_dim: Width of every hidden layer.
        num_layers: Hidden layers of what predicts.

    Raises:
        ValueError: A size is below 1, the context below 2, or the memory too large.
    """

    def __init__(
        self,
        *,
        layout: Layout,
        action_dim: int,
        context_length: int,
        num_slots: int,
        key_dim: int,
        value_dim: int,
        hidden_dim: int,
        num_layers: int,
    ) -> None:
        super().__init__()
        sizes = {"num_slots": num_slots, "key_dim": key_dim, "value_dim": value_dim}
        for name, size in (sizes | {"hidden_dim": hidden_dim, "num_layers": num_layers}).items():
            check_count(name, size, least=1)
        if context_length < 2:
            raise ValueError(
                "world_model.context_length must be at least 2 with predictor=memory, better 8: what to write is "
                f"learned from how a frame of a context differs from its prediction, got {context_length}"
            )
        if num_slots * value_dim > LARGEST_MEMORY:
            raise ValueError(
                f"num_slots * value_dim must be at most {LARGEST_MEMORY}, as each candidate of a planner carries a "
                f"memory of its own, got {num_slots} * {value_dim}"
            )
        self.keys = nn.Parameter(torch.randn(num_slots, key_dim))
        self.first_values = nn.Parameter(torch.zeros(num_slots, value_dim))
        self._layout, seen = layout, layout.seen_dim + action_dim
        self.query = _perceptron(seen, hidden_dim, num_layers=1, output_dim=key_dim)
        self.features = _perceptron(seen + value_dim, hidden_dim, num_layers=num_layers, output_dim=None)
        self.written = _perceptron(hidden_dim + layout.embed_dim, hidden_dim, num_layers=1, output_dim=value_dim)
        self.change = zero_linear(hidden_dim, layout.embed_dim)

    @property
    def least_context(self) -> int:
        """The fewest frames that it begins with."""
        return 1

    def begin(self, embeddings: Tensor, actions: Tensor) -> State:
        """Keeps the newest embedding, and the values after what is older, `[rows, num_slots, value_dim]`."""
        state: State = embeddings[:, 0], self.first_values.expand(len(embeddings), -1, -1)
        if actions.shape[1]:
            state, _ = self.foresee(state, actions, embeddings[:, 1:])
        return state

    def predict(self, state: State, action: Tensor) -> tuple[State, Tensor]:
        """Tells where an action leads, what was made of what was read, and where; see `Dynamics.predict`."""
        newest, values = state
        attention = self._attention(newest, action)
        features: Tensor = self.features(torch.cat([self._layout.seen(newest), action, read(values, attention)], dim=1))
        prediction: Tensor = newest + self.change(features)
        return (values, attention, features, prediction), prediction

    def take_in(self, foretold: State, embedding: Tensor) -> State:
        """Goes on by what came, and writes it; see `Dynamics.take_in`."""
        values, attention, features, prediction = foretold
        written = self.written(torch.cat([features, embedding - prediction], dim=1)).tanh()
        return embedding, update(values, attention, written)

    def foresee(self, state: State, actions: Tensor, embeddings: Tensor) -> tuple[State, Tensor]:
        """Predicts behind every frame, one after the other; see `Dynamics.foresee`."""
        predictions = []
        for action, embedding in zip(actions.unbind(dim=1), embeddings.unbind(dim=1), strict=True):
            foretold, prediction = self.predict(state, action)
            state = self.take_in(foretold, embedding)
            predictions.append(prediction)
        return state, torch.stack(predictions, dim=1)

    def contents(self, state: State, action: Tensor) -> MemoryContents:
        """Returns what the memory holds, and where it is read for an action.

        Args:
            state: Of `begin`, `take_in`, `follow` or `step`.
            action: `[rows, action_dim]`.
        """
        return MemoryContents(keys=self.keys, values=state[1], attention=self._attention(state[0], action))

    def _attention(self, newest: Tensor, action: Tensor) -> Tensor:
        """Returns the share of each slot, `[rows, num_slots]`: the softmax of scaled dot products."""
        query: Tensor = self.query(torch.cat([self._layout.seen(newest), action], dim=1))
        matches = query @ self.keys.T / self.keys.shape[1] ** 0.5
        return torch.softmax(matches, dim=1)


def read(values: Tensor, attention: Tensor) -> Tensor:
    """Returns the mean of the values by attention, `[rows, value_dim]`; see `update`."""
    return torch.bmm(attention[:, None], values)[:, 0]


def update(values: Tensor, attention: Tensor, written: Tensor) -> Tensor:
    """Returns `c r + (1 - c) v` for each slot: what it holds gives way as far as it is attended to.

    Args:
        values: v, `[rows, num_slots, value_dim]`.
        attention: c, `[rows, num_slots]`, from 0 to 1.
        written: r, `[rows, value_dim]`.
    """
    return torch.lerp(values, written[:, None], attention[:, :, None])


def _perceptron(input_dim: int, hidden_dim: int, *, num_layers: int, output_dim: int | None) -> nn.Sequential:
    """Returns hidden layers, and a linear output where a size is given."""
    layers = hidden_layers(input_dim, hidden_dim, num_layers)
    if output_dim is not None:
        layers.append(nn.Linear(hidden_dim, output_dim))
    return nn.Sequential(*layers)
