"""From an embedding back to a picture."""

from collections.abc import Sequence

from torch import Tensor, nn


class ImageDecoder(nn.Module):
    """Draws an image by convolutions each of which doubles a smaller one: the strided encoder, backwards.

    Args:
        embed_dim: Size of the embedding.
        output_shape: Of the image, (height, width, 3). Where doubling does not end there, a larger image is cut.
        channels: Of what each convolution takes, the first and smallest image first.
    """

    def __init__(self, *, embed_dim: int, output_shape: tuple[int, ...], channels: Sequence[int]) -> None:
        super().__init__()
        self._height, self._width, _ = output_shape
        scale = 2 ** len(channels)
        self._first_shape = (-(-self._height // scale), -(-self._width // scale), channels[0])
        height, width, depth = self._first_shape
        self.first = nn.Linear(embed_dim, height * width * depth)
        layers: list[nn.Module] = []
        for before, after in zip(channels, [*channels[1:], 3], strict=True):
            layers += [nn.SiLU(), nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1)]
        self.convolutions = nn.Sequential(*layers)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Draws images `[rows, height, width, 3]`, on the scale that it is trained on, from `[rows, embed_dim]`."""
        first = self.first(embeddings).view(-1, *self._first_shape)
        images: Tensor = self.convolutions(first.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return images[:, : self._height, : self._width]
