"""Dynamics that remember by a hidden state (gated recurrent unit, Cho et al. 2014)."""

import torch
from torch import Tensor, nn

from jepa_mpc.ranges import check_count
from world_model.dynamics.base import Dynamics, State
from world_model.layout import Layout
from world_model.perceptron import zero_linear


class GRUDynamics(Dynamics):
    """Predicts the change of the embedding by a recurrent network; untrained, it predicts that nothing changes.

    Its hidden state begins at 0 with the oldest frame, and is carried on through what is seen and what is imagined.

    Args:
        layout: How an embedding is divided.
        action_dim: Size of an encoded action.
        context_length: Frames of a context; its weights are the same for any number.
        hidden_dim: Size of the hidden state of every layer.
        num_layers: Recurrent layers, at least 1.
    """

    def __init__(
        self,
        *,
        layout: Layout,
        action_dim: int,
        context_length: int,  # noqa: ARG002 - as every dynamics is told
        hidden_dim: int,
        num_layers: int,
    ) -> None:
        super().__init__()
        check_count("hidden_dim", hidden_dim, least=1)
        check_count("num_layers", num_layers, least=1)
        self._layout = layout
        self.memory = nn.GRU(layout.seen_dim + action_dim, hidden_dim, num_layers, batch_first=True)
        self.change = zero_linear(hidden_dim, layout.embed_dim)

    @property
    def least_context(self) -> int:
        """The fewest frames that it begins with."""
        return 1

    def begin(self, embeddings: Tensor, actions: Tensor) -> State:
        """Keeps the newest embedding, and the hidden state after what is older, `[rows, num_layers, hidden_dim]`."""
        shape = (len(embeddings), self.memory.num_layers, self.memory.hidden_size)
        hidden = embeddings.new_zeros(shape)
        if actions.shape[1]:
            _, last = self.memory(torch.cat([self._layout.seen(embeddings[:, :-1]), actions], dim=2))
            hidden = last.transpose(0, 1)
        return embeddings[:, -1], hidden

    def predict(self, state: State, action: Tensor) -> tuple[State, Tensor]:
        """Tells where an action leads, and the hidden state after it; see `Dynamics.predict`."""
        newest, hidden = state
        inputs = torch.cat([self._layout.seen(newest), action], dim=1)[:, None]
        output, last = self.memory(inputs, hidden.transpose(0, 1).contiguous())
        return (last.transpose(0, 1),), newest + self.change(output[:, 0])

    def take_in(self, foretold: State, embedding: Tensor) -> State:
        """Goes on by what came; see `Dynamics.take_in`."""
        return embedding, *foretold

    def foresee(self, state: State, actions: Tensor, embeddings: Tensor) -> tuple[State, Tensor]:
        """Predicts behind every frame in one pass; see `Dynamics.foresee`."""
        newest, hidden = state
        frames = torch.cat([newest[:, None], embeddings], dim=1)
        before = frames[:, :-1]
        outputs, last = self.memory(
            torch.cat([self._layout.seen(before), actions], dim=2), hidden.transpose(0, 1).contiguous()
        )
        return (frames[:, -1], last.transpose(0, 1)), before + self.change(outputs)
