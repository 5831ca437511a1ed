"""Image encoder of plain convolutions."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from jepa_mpc.ranges import check_count
from world_model.encoders.images import ImageEncoder, channels_first, check_image_shape
from world_model.encoders.projector import Projector


class StridedConvEncoder(ImageEncoder):
    """Halves an image by one convolution after the other, and projects all that is left.

    Args:
        input_shape: (height, width, 3), multiples of 2 to the power of the number of convolutions.
        embed_dim: Size of the embedding.
        channels: Of each convolution, the first one first.
        hidden_dim: Width of the projector's hidden layer.

    Raises:
        ValueError: The shape does not fit, or a size is below 1.
    """

    def __init__(
        self, *, input_shape: tuple[int, ...], embed_dim: int, channels: Sequence[int], hidden_dim: int
    ) -> None:
        super().__init__()
        if not channels:
            raise ValueError("channels must name the size of at least one convolution, got none")
        for size in channels:
            check_count("channels", size, least=1)
        check_count("hidden_dim", hidden_dim, least=1)
        stride = 2 ** len(channels)
        check_image_shape(input_shape, multiple=stride)
        layers: list[nn.Module] = []
        for before, after in zip([3, *channels], channels, strict=False):
            layers += [nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1), nn.SiLU()]
        self.convolutions = nn.Sequential(*layers).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        height, width, _ = input_shape
        num_features = channels[-1] * (height // stride) * (width // stride)
        self.projector = Projector(input_dim=num_features, hidden_dim=hidden_dim, embed_dim=embed_dim)

    def tokens(self, images: Tensor) -> Tensor:
        """Returns the cells of the last convolution, row by row: `[rows, num_cells, channels]`."""
        cells: Tensor = self.convolutions(channels_first(images)).flatten(2).transpose(1, 2)
        return cells

    def pooled(self, tokens: Tensor) -> Tensor:
        """Projects all cells: `[rows, embed_dim]`."""
        embedding: Tensor = self.projector(tokens.transpose(1, 2).flatten(1))
        return embedding
