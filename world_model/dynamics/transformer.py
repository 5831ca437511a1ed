"""Predictor that attends over the context's frames, told by the actions how to (DiT, Peebles & Xie 2023; LeWM 2026)."""

import torch
from torch import Tensor, nn

from world_model.attention import SelfAttention
from world_model.ranges import check_count, check_number

_FIRST_STD = 0.02  # of positions


class TransformerPredictor(nn.Module):
    """Predicts the change of the embedding by causal self-attention; untrained, it predicts that nothing changes.

    A token is a frame, and the action that follows it shifts, scales and gates what every layer does to it.

    Args:
        embed_dim: Size of an embedding.
        action_dim: Size of a model action.
        context_length: Frames that it sees.
        num_layers: Transformer layers, at least 1.
        width: Size of a token.
        num_heads: Attention heads; they divide the width.
        mlp_ratio: Hidden width of a layer's perceptron, in widths of a token.
        dropout: Share of what a layer adds to a token that is left out in training.

    Raises:
        ValueError: The heads do not divide the width, a size is below 1, or the dropout not in 0..1.
    """

    def __init__(
        self,
        *,
        embed_dim: int,
        action_dim: int,
        context_length: int,
        num_layers: int,
        width: int,
        num_heads: int,
        mlp_ratio: int,
        dropout: float,
    ) -> None:
        super().__init__()
        check_count("num_layers", num_layers, least=1)
        check_count("mlp_ratio", mlp_ratio, least=1)
        check_number("dropout", dropout, least=0, most=1)
        self.layers = nn.ModuleList(
            ConditionedLayer(width=width, num_heads=num_heads, mlp_ratio=mlp_ratio, dropout=dropout)
            for _ in range(num_layers)
        )
        self.frames = nn.Linear(embed_dim, width)
        self.positions = nn.Parameter(_FIRST_STD * torch.randn(context_length, width))
        self.conditions = nn.Sequential(nn.Linear(action_dim, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.modulation = _zero_linear(width, 2 * width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.change = _zero_linear(width, embed_dim)

    def forward(self, embeddings: Tensor, actions: Tensor) -> Tensor:
        """Predicts the next embedding.

        Args:
            embeddings: `[rows, context, embed_dim]`, the newest last.
            actions: `[rows, context, action_dim]`, normalised; `actions[:, i]` is executed after `embeddings[:, i]`.

        Returns:
            `[rows, embed_dim]`, what the newest action leads to.
        """
        tokens, conditions = self.frames(embeddings) + self.positions, self.conditions(actions)
        for layer in self.layers:
            tokens = layer(tokens, conditions)
        shift, scale = self.modulation(conditions[:, -1]).chunk(2, dim=1)
        prediction: Tensor = embeddings[:, -1] + self.change(self.norm(tokens[:, -1]) * (1 + scale) + shift)
        return prediction


class ConditionedLayer(nn.Module):
    """A transformer layer under adaptive layer normalisation that begins as the identity (AdaLN-zero, DiT section 3.2).

    Args:
        width: Size of a token, and of a condition.
        num_heads: Attention heads.
        mlp_ratio: Hidden width of the perceptron, in widths of a token.
        dropout: Share of what it adds to a token that is left out in training.
    """

    def __init__(self, *, width: int, num_heads: int, mlp_ratio: int, dropout: float) -> None:
        super().__init__()
        self.modulation = _zero_linear(width, 6 * width)
        self.attention_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = SelfAttention(width=width, num_heads=num_heads, is_causal=True)
        self.mlp_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(width, mlp_ratio * width), nn.GELU(), nn.Linear(mlp_ratio * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, conditions: Tensor) -> Tensor:
        """Changes tokens `[rows, context, width]`, each under its own condition, of the same shape."""
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.modulation(conditions).chunk(6, dim=2)
        gathered = self.attention(self.attention_norm(tokens) * (1 + scale) + shift)
        tokens = tokens + gate * self.dropout(gathered)
        changed: Tensor = tokens + mlp_gate * self.dropout(
            self.mlp(self.mlp_norm(tokens) * (1 + mlp_scale) + mlp_shift)
        )
        return changed


def _zero_linear(input_dim: int, output_dim: int) -> nn.Linear:
    layer = nn.Linear(input_dim, output_dim)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
