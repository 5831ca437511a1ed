"""Predictor that adds a learned change to the newest embedding."""

import torch
from torch import Tensor, nn

from world_model.ranges import check_count


class ResidualMLPPredictor(nn.Module):
    """Predicts the change of the embedding by a multi-layer perceptron; untrained, it predicts that nothing changes.

    Args:
        embed_dim: Size of an embedding.
        action_dim: Size of a model action.
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
        input_dim = context_length * (embed_dim + action_dim)
        layers: list[nn.Module] = []
        for layer in range(num_layers):
            layers += [nn.Linear(hidden_dim if layer else input_dim, hidden_dim), nn.SiLU()]
        last = nn.Linear(hidden_dim, embed_dim)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.change = nn.Sequential(*layers, last)

    def forward(self, embeddings: Tensor, actions: Tensor) -> Tensor:
        """Predicts the next embedding.

        Args:
            embeddings: `[rows, context, embed_dim]`, the newest last.
            actions: `[rows, context, action_dim]`, normalised; `actions[:, i]` is executed after `embeddings[:, i]`.

        Returns:
            `[rows, embed_dim]`, what the newest action leads to.
        """
        inputs = torch.cat([embeddings.flatten(1), actions.flatten(1)], dim=1)
        prediction: Tensor = embeddings[:, -1] + self.change(inputs)
        return prediction
