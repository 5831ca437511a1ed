"""From an embedding back to a picture, for people: nothing that acts ever looks at one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from jepa_mpc.ranges import check_count
from world_model.image_decoder import ImageDecoder
from world_model.normalizer import Moments, Normalizer

PICTURE_SIZE = 64
"""Width and height of a decoded picture, pixels, whatever the camera's."""


class Decoder(nn.Module):
    """Draws what a camera may have seen when its block of the embedding was this.

    A decoded picture is the mean of those that the decoder was fitted to, which holds all that never moves, and on top
    of it what transposed convolutions make of the embedding.

    Args:
        embed_dim: Size of the camera's block.
        hidden_dim: Width of the hidden layer before the convolutions.
        channels: What goes into each convolution, which doubles the size of the picture; the last one gives colours.

    Raises:
        ValueError: A size is below 1, or the picture cannot be halved so often.
    """

    mean: Tensor

    def __init__(self, *, embed_dim: int, hidden_dim: int, channels: Sequence[int]) -> None:
        super().__init__()
        check_decoder(hidden_dim=hidden_dim, channels=channels)
        self.normalizer = Normalizer((embed_dim,))
        self.register_buffer("mean", torch.zeros(PICTURE_SIZE, PICTURE_SIZE, 3))
        self.layers = nn.Sequential(
            nn.Linear(embed_dim, hidden_dim),
            nn.SiLU(),
            ImageDecoder(embed_dim=hidden_dim, output_shape=tuple(self.mean.shape), channels=channels),
        )

    def fit_scale(self, embeddings: Tensor, pictures: Tensor) -> None:
        """Takes over what is typical: of embeddings `[rows, embed_dim]` and pictures `[rows, 64, 64, 3]`, uint8."""
        mean, std = embeddings.double().mean(dim=0), embeddings.double().std(dim=0, correction=0)
        self.normalizer.fit(Moments(mean=mean.numpy(), std=std.numpy()))
        self.mean.copy_(pictures.sum(dim=0, dtype=torch.float32) / (255 * len(pictures)))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Draws pictures of embeddings `[rows, embed_dim]`: `[rows, 64, 64, 3]`, colours around 0 to 1."""
        picture: Tensor = self.mean + self.layers(self.normalizer(embeddings))
        return picture


def check_decoder(*, hidden_dim: int, channels: Sequence[int]) -> None:
    """Refuses what no decoder can be built from.

    Raises:
        ValueError: The sentence names the value.
    """
    check_count("pictures.hidden_dim", hidden_dim, least=1)
    for size in channels:
        check_count("pictures.channels", size, least=1)
    if not 1 <= len(channels) < PICTURE_SIZE.bit_length():
        raise ValueError(
            f"pictures.channels must name the sizes of 1 to {PICTURE_SIZE.bit_length() - 1} convolutions, "
            f"got {list(channels)}"
        )


def as_pictures(frames: Tensor) -> Tensor:
    """Returns camera frames `[rows, height, width, 3]`, uint8, in the size of decoded pictures, uint8."""
    if frames.shape[1:3] == (PICTURE_SIZE, PICTURE_SIZE):
        return frames
    colours = functional.interpolate(
        frames.permute(0, 3, 1, 2).float(), size=(PICTURE_SIZE, PICTURE_SIZE), mode="bilinear", antialias=True
    )
    return colours.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
