"""Image encoder that asks where things are: spatial softmax (Levine et al. 2016; Finn et al. 2016)."""

import torch
from torch import Tensor, nn

from jepa_mpc.ranges import check_count, check_number
from world_model.encoders.images import ImageEncoder, channels_first, check_image_shape
from world_model.encoders.projector import Projector

STRIDE = 4
"""Pixels from one cell of a heat map to the next."""


class KeypointEncoder(ImageEncoder):
    """Turns an image into heat maps by a few convolutions, and each heat map into the place that it points at.

    Args:
        input_shape: (height, width, 3), multiples of 4 pixels.
        embed_dim: Size of the embedding.
        channels: Of every convolution but the last.
        num_keypoints: Heat maps.
        temperature: Of their softmax, above 0. The heat maps of fresh weights are faint: a low one lets them point.
        hidden_dim: Width of the projector's hidden layer.

    Raises:
        ValueError: The shape does not fit, a size is below 1, or the temperature not above 0.
    """

    def __init__(
        self,
        *,
        input_shape: tuple[int, ...],
        embed_dim: int,
        channels: int,
        num_keypoints: int,
        temperature: float,
        hidden_dim: int,
    ) -> None:
        super().__init__()
        check_image_shape(input_shape, multiple=STRIDE)
        check_count("channels", channels, least=1)
        check_count("num_keypoints", num_keypoints, least=1)
        check_number("temperature", temperature, above=0)
        check_count("hidden_dim", hidden_dim, least=1)
        self._temperature = temperature
        self.heat_maps = nn.Sequential(
            nn.Conv2d(3, channels, kernel_size=4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, kernel_size=4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, kernel_size=3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, num_keypoints, kernel_size=1, bias=False),  # softmax would take a bias away again
        ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.projector = Projector(input_dim=2 * num_keypoints, hidden_dim=hidden_dim, embed_dim=embed_dim)

    def pooled(self, tokens: Tensor) -> Tensor:
        """Projects all places: `[rows, embed_dim]`."""
        embedding: Tensor = self.projector(tokens.flatten(1))
        return embedding

    def tokens(self, images: Tensor) -> Tensor:
        """Returns where the keypoints are: `[rows, num_keypoints, 2]`, as `spatial_softmax` counts."""
        return spatial_softmax(self.heat_maps(channels_first(images)) / self._temperature)


def spatial_softmax(heat_maps: Tensor) -> Tensor:
    """Returns the mean position under the softmax of each heat map.

    Args:
        heat_maps: `[rows, num_keypoints, height, width]`.

    Returns:
        `[rows, num_keypoints, 2]`, x to the right and y downwards: -1 and 1 are the image's edges, and a cell counts as
        its centre.
    """
    height, width = heat_maps.shape[2:]
    with torch.autocast(heat_maps.device.type, enabled=False):  # a place in half precision is off by a tenth of a pixel
        heat_maps = heat_maps.to(torch.promote_types(heat_maps.dtype, torch.float32))
        x, y = _centres(width, like=heat_maps), _centres(height, like=heat_maps)
        places = torch.stack([x.repeat(height), y.repeat_interleave(width)], dim=1)  # [cells, 2]
        return heat_maps.flatten(2).softmax(dim=2) @ places


def _centres(num_cells: int, like: Tensor) -> Tensor:
    """Returns the centres of equal cells that fill [-1, 1]."""
    cells = torch.arange(num_cells, dtype=like.dtype, device=like.device)
    return (2 * cells + 1) / num_cells - 1
