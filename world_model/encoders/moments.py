"""Image encoder that asks how much of something there is, and where: moments of learned maps (Hu 1962)."""

import torch
from torch import Tensor, nn

from world_model.encoders.images import STRIDE, centres, channels_first, check_image_shape, map_layers
from world_model.encoders.projector import Projector
from world_model.ranges import check_count, check_number

DARKNESS = 2.0
"""How far below 0 the logits of fresh weights lie: a map starts nearly empty."""


class MomentEncoder(nn.Module):
    """Marks cells of maps by a few convolutions, and adds up how many are marked, and their places.

    Unlike the mean place under a softmax, a sum takes what two things add to it apart: where a block is counts the same
    wherever the arm is. A linear map of such sums tells a place exactly.

    Args:
        input_shape: (height, width, 3), multiples of 4 pixels.
        embed_dim: Size of the embedding.
        channels: Of every convolution but the last.
        num_maps: Maps, each of which gives 3 moments.
        temperature: Of the maps' logits, above 0. Those of fresh weights are faint: a low one tells cells apart.
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
        num_maps: int,
        temperature: float,
        hidden_dim: int,
    ) -> None:
        super().__init__()
        check_image_shape(input_shape, multiple=STRIDE)
        check_count("channels", channels, least=1)
        check_count("num_maps", num_maps, least=1)
        check_number("temperature", temperature, above=0)
        check_count("hidden_dim", hidden_dim, least=1)
        self._temperature = temperature
        self.maps = map_layers(channels, num_maps)
        self.projector = Projector(input_dim=3 * num_maps, hidden_dim=hidden_dim, embed_dim=embed_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Embeds images `[rows, height, width, 3]` in [-1, 1]: `[rows, embed_dim]`."""
        marked = self._marked(images)
        with torch.autocast(images.device.type, enabled=False):  # sums in half precision would forget what is small
            embedding: Tensor = self.projector(moments(marked).flatten(1))
        return embedding

    def attention(self, images: Tensor) -> Tensor:
        """Returns how much each cell stands out of its map, `[rows, height, width]` in cells; the sum is 1."""
        marked = self._marked(images)
        outstanding = (marked - marked.mean(dim=(2, 3), keepdim=True)).abs().sum(dim=1)
        return outstanding / outstanding.sum(dim=(1, 2), keepdim=True)

    def _marked(self, images: Tensor) -> Tensor:
        """Returns by how much the cells are marked, in 0..1, `[rows, num_maps, height, width]` in cells."""
        logits = self.maps(channels_first(images))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return torch.sigmoid(logits / self._temperature - DARKNESS)


def moments(maps: Tensor) -> Tensor:
    """Returns how much is marked on each map, and that times its mean place.

    Args:
        maps: `[rows, num_maps, height, width]`, 0 or more.

    Returns:
        `[rows, num_maps, 3]`, sums over cells: of what is marked, of that times x, and of that times y, where -1 and 1
        are the image's edges.
    """
    height, width = maps.shape[2:]
    columns, rows = maps.sum(dim=2), maps.sum(dim=3)
    x, y = centres(width, like=maps), centres(height, like=maps)
    return torch.stack([columns.sum(dim=2), (columns * x).sum(dim=2), (rows * y).sum(dim=2)], dim=2)
