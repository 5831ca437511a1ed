"""Image encoder that lets patches attend to each other: vision transformer (Dosovitskiy et al. 2021)."""

import torch
from torch import Tensor, nn

from jepa_mpc.ranges import check_count
from world_model.attention import SelfAttention
from world_model.encoders.images import ImageEncoder, channels_first, check_image_shape
from world_model.encoders.projector import Projector

POOLINGS = ("cls", "mean")
_FIRST_STD = 0.02  # of positions and class token


class ViTEncoder(ImageEncoder):
    """Embeds patches, lets them attend to each other, and projects a class token or the mean of all patches.

    Args:
        input_shape: (height, width, 3), multiples of `patch_size`.
        embed_dim: Size of the embedding.
        patch_size: Side of a patch, pixels.
        num_layers: Transformer layers, at least 1.
        width: Size of a token.
        num_heads: Attention heads; they divide the width.
        mlp_ratio: Hidden width of a layer's perceptron, in widths of a token.
        pooling: `cls` projects a token of its own, `mean` that of the patches.
        hidden_dim: Width of the projector's hidden layer.

    Raises:
        ValueError: The image's shape or the heads do not fit, a size is below 1, or the pooling is unknown.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        embed_dim: int,
        patch_size: int,
        num_layers: int,
        width: int,
        num_heads: int,
        mlp_ratio: int,
        pooling: str,
        hidden_dim: int,
    ) -> None:
        super().__init__()
        sizes = {"patch_size": patch_size, "num_layers": num_layers, "mlp_ratio": mlp_ratio, "hidden_dim": hidden_dim}
        for name, size in sizes.items():
            check_count(name, size, least=1)
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, got {pooling!r}")
        check_image_shape(input_shape, multiple=patch_size)
        self._grid = (input_shape[0] // patch_size, input_shape[1] // patch_size)
        self.layers = nn.Sequential(
            *(_Layer(width=width, num_heads=num_heads, mlp_ratio=mlp_ratio) for _ in range(num_layers))
        )
        self.patches = nn.Conv2d(3, width, kernel_size=patch_size, stride=patch_size)
        self.class_token = nn.Parameter(_FIRST_STD * torch.randn(width)) if pooling == "cls" else None
        num_tokens = self._grid[0] * self._grid[1] + self._num_class_tokens
        self.positions = nn.Parameter(_FIRST_STD * torch.randn(num_tokens, width))
        self.norm = nn.LayerNorm(width, bias=False)  # the projector would take a bias away again
        self.projector = Projector(input_dim=width, hidden_dim=hidden_dim, embed_dim=embed_dim)

    def tokens(self, images: Tensor) -> Tensor:
        """Returns what the last layer makes of the patches, a class token first: `[rows, num_tokens, width]`."""
        tokens: Tensor = self.layers(self._inputs(images))
        return tokens

    def pooled(self, tokens: Tensor) -> Tensor:
        """Projects the class token, or the mean of all: `[rows, embed_dim]`."""
        pooled = tokens.mean(dim=1) if self.class_token is None else tokens[:, 0]
        embedding: Tensor = self.projector(self.norm(pooled))
        return embedding

    def attention(self, images: Tensor) -> Tensor:
        """Returns where the last layer looks: `[rows, height / patch_size, width / patch_size]`.

        It is the attention of what is pooled to the patches, the mean of all heads, and sums to 1 over an image.
        """
        last = self.layers[-1]
        assert isinstance(last, _Layer)
        weights = last.attention_weights(self.layers[:-1](self._inputs(images)))  # [rows, tokens, tokens]
        pooled = weights.mean(dim=1) if self.class_token is None else weights[:, 0]
        patches = pooled[:, self._num_class_tokens :]
        return (patches / patches.sum(dim=1, keepdim=True)).view(-1, *self._grid)

    @property
    def _num_class_tokens(self) -> int:
        return 0 if self.class_token is None else 1

    def _inputs(self, images: Tensor) -> Tensor:
        """Returns the first layer's input, `[rows, tokens, width]`, the class token first."""
        patches = self.patches(channels_first(images)).flatten(2).transpose(1, 2)
        if self.class_token is not None:
            patches = torch.cat([self.class_token.expand(len(images), 1, -1), patches], dim=1)
        tokens: Tensor = patches + self.positions
        return tokens


class _Layer(nn.Module):
    """A transformer layer that normalises before it attends and before its perceptron."""

    def __init__(self, *, width: int, num_heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width=width, num_heads=num_heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, mlp_ratio * width), nn.GELU(), nn.Linear(mlp_ratio * width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attention(self.attention_norm(tokens))
        changed: Tensor = tokens + self.mlp(tokens)
        return changed

    def attention_weights(self, tokens: Tensor) -> Tensor:
        """Returns how much each token looks at each, the mean of all heads: `[rows, tokens, tokens]`."""
        return self.attention.weights(self.attention_norm(tokens)).mean(dim=1)
