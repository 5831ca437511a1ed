"""Predictor that reads the context frame by frame (gated recurrent unit, Cho et al. 2014)."""

import torch
from torch import Tensor, nn

from world_model.ranges import check_count


class GRUPredictor(nn.Module):
    """Predicts the change of the embedding by a recurrent network; untrained, it predicts that nothing changes.

    Its state begins at 0 with the oldest frame of the context: nothing older is remembered.

    Args:
        embed_dim: Size of an embedding.
        action_dim: Size of a model action.
        context_length: Frames that it sees; its weights are the same for any number.
        hidden_dim: Size of the state of every layer.
        num_layers: Recurrent layers, at least 1.
    """

    def __init__(
        self,
        *,
        embed_dim: int,
        action_dim: int,
        context_length: int,  # noqa: ARG002 - as every predictor is told
        hidden_dim: int,
        num_layers: int,
    ) -> None:
        super().__init__()
        check_count("hidden_dim", hidden_dim, least=1)
        check_count("num_layers", num_layers, least=1)
        self.memory = nn.GRU(embed_dim + action_dim, hidden_dim, num_layers, batch_first=True)
        self.change = nn.Linear(hidden_dim, embed_dim)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    def forward(self, embeddings: Tensor, actions: Tensor) -> Tensor:
        """Predicts the next embedding.

        Args:
            embeddings: `[rows, context, embed_dim]`, the newest last.
            actions: `[rows, context, action_dim]`, normalised; `actions[:, i]` is executed after `embeddings[:, i]`.

        Returns:
            `[rows, embed_dim]`, what the newest action leads to.
        """
        states, _ = self.memory(torch.cat([embeddings, actions], dim=2))
        prediction: Tensor = embeddings[:, -1] + self.change(states[:, -1])
        return prediction
