"""Dynamics that attend to the frames before, told by the actions how to (DiT, Peebles & Xie 2023; LeWM 2026)."""

import torch
from torch import Tensor, nn

from jepa_mpc.ranges import check_count, check_number
from world_model.dynamics.base import Dynamics, State
from world_model.dynamics.causal_attention import Cache, CausalAttention
from world_model.layout import Layout
from world_model.perceptron import zero_linear


class TransformerDynamics(Dynamics):
    """Predicts the change of the embedding by causal self-attention; untrained, it predicts that nothing changes.

    A token is a frame, and the action that follows it shifts, scales and gates what every layer does to it. Each layer
    attends to a frame and to as many before it as the context has; their keys and values are kept from step to step.
    So it sees, through several layers, farther back than one context.

    Args:
        layout: How an embedding is divided.
        action_dim: Size of an encoded action.
        context_length: Frames that a layer attends to.
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
        layout: Layout,
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
            ConditionedLayer(
                width=width, num_heads=num_heads, reach=context_length, mlp_ratio=mlp_ratio, dropout=dropout
            )
            for _ in range(num_layers)
        )
        self._layout = layout
        self.frames = nn.Linear(layout.seen_dim, width)
        self.conditions = nn.Sequential(nn.Linear(action_dim, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.modulation = zero_linear(width, 2 * width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.change = zero_linear(width, layout.embed_dim)

    @property
    def least_context(self) -> int:
        """The fewest frames that it begins with."""
        return 1

    def begin(self, embeddings: Tensor, actions: Tensor) -> State:
        """Keeps the newest embedding, and of every layer the keys and values of what is older."""
        caches = self._nothing(embeddings)
        if actions.shape[1]:
            _, caches = self._read(embeddings[:, :-1], actions, caches)
        return embeddings[:, -1], *caches

    def predict(self, state: State, action: Tensor) -> tuple[State, Tensor]:
        """Tells where an action leads, and the caches after it; see `Dynamics.predict`."""
        newest, *caches = state
        changes, caches = self._read(newest[:, None], action[:, None], caches)
        return tuple(caches), newest + changes[:, 0]

    def take_in(self, foretold: State, embedding: Tensor) -> State:
        """Goes on by what came; see `Dynamics.take_in`."""
        return embedding, *foretold

    def foresee(self, state: State, actions: Tensor, embeddings: Tensor) -> tuple[State, Tensor]:
        """Predicts behind every frame in one pass; see `Dynamics.foresee`."""
        newest, *caches = state
        frames = torch.cat([newest[:, None], embeddings], dim=1)
        before = frames[:, :-1]
        changes, caches = self._read(before, actions, caches)
        return (frames[:, -1], *caches), before + changes

    def _read(self, embeddings: Tensor, actions: Tensor, caches: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Returns the change behind each of the next frames `[rows, time, embed_dim]`, and the caches after them."""
        tokens, conditions = self.frames(self._layout.seen(embeddings)), self.conditions(actions)
        kept: list[Tensor] = []
        for index, layer in enumerate(self.layers):
            tokens, cache = layer(tokens, conditions, (caches[2 * index], caches[2 * index + 1]))
            kept += cache
        shift, scale = self.modulation(conditions).chunk(2, dim=2)
        return self.change(self.norm(tokens) * (1 + scale) + shift), kept

    def _nothing(self, embeddings: Tensor) -> list[Tensor]:
        """Returns caches of no frame."""
        return [embeddings.new_zeros(len(embeddings), 0, self.frames.out_features) for _ in range(2 * len(self.layers))]


class ConditionedLayer(nn.Module):
    """A transformer layer under adaptive layer normalisation that begins as the identity (AdaLN-zero, DiT section 3.2).

    Args:
        width: Size of a token, and of a condition.
        num_heads: Attention heads.
        reach: Tokens that one attends to, itself among them.
        mlp_ratio: Hidden width of the perceptron, in widths of a token.
        dropout: Share of what it adds to a token that is left out in training.
    """

    def __init__(self, *, width: int, num_heads: int, reach: int, mlp_ratio: int, dropout: float) -> None:
        super().__init__()
        self.modulation = zero_linear(width, 6 * width)
        self.attention_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.attention = CausalAttention(width=width, num_heads=num_heads, reach=reach)
        self.mlp_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.mlp = nn.Sequential(nn.Linear(width, mlp_ratio * width), nn.GELU(), nn.Linear(mlp_ratio * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, conditions: Tensor, cache: Cache) -> tuple[Tensor, Cache]:
        """Changes tokens `[rows, time, width]`, each under its own condition, of the same shape.

        Args:
            tokens: Those that come next.
            conditions: Of each.
            cache: Of the attention, of the tokens before them.

        Returns:
            The changed tokens, and the cache after them.
        """
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = self.modulation(conditions).chunk(6, dim=2)
        gathered, cache = self.attention(self.attention_norm(tokens) * (1 + scale) + shift, cache)
        tokens = tokens + gate * self.dropout(gathered)
        changed: Tensor = tokens + mlp_gate * self.dropout(
            self.mlp(self.mlp_norm(tokens) * (1 + mlp_scale) + mlp_shift)
        )
        return changed, cache
