"""Images as encoders take them, and what every encoder of images offers."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from world_model.encoders.projector import Projector


class ImageEncoder(nn.Module, ABC):
    """Embeds images by way of tokens: of patches, of cells, of keypoints.

    Attributes:
        projector: The head.
    """

    projector: Projector

    def forward(self, images: Tensor) -> Tensor:
        """Embeds images `[rows, height, width, 3]` in [-1, 1]: `[rows, embed_dim]`."""
        parts = [images] if images.is_cuda else torch.split(images, _AT_ONCE)
        return self.pooled(torch.cat([self.tokens(part) for part in parts]))

    @abstractmethod
    def tokens(self, images: Tensor) -> Tensor:
        """Returns what is seen, part by part: `[rows, num_tokens, dim]`, of images `[rows, height, width, 3]`."""

    @abstractmethod
    def pooled(self, tokens: Tensor) -> Tensor:
        """Returns one vector of all tokens: `[rows, embed_dim]`."""


def check_image_shape(input_shape: tuple[int, ...], *, multiple: int) -> None:
    """Refuses what is no colour image, or cannot be divided evenly.

    Args:
        input_shape: Of one image; (height, width, 3) is right.
        multiple: What height and width must be multiples of.

    Raises:
        ValueError: The sentence names the shape.
    """
    if len(input_shape) != 3 or input_shape[2] != 3:
        raise ValueError(f"an image encoder needs a sensor of shape (height, width, 3), got {input_shape}")
    height, width, _ = input_shape
    if height % multiple or width % multiple or min(height, width) < multiple:
        raise ValueError(
            f"height and width must be multiples of {multiple} pixels, got {height} x {width}: "
            "choose another image size, or another encoder"
        )


def channels_first(images: Tensor) -> Tensor:
    """Returns images `[rows, height, width, 3]` as `[rows, 3, height, width]`, in the same memory.

    torch calls such memory channels_last: convolutions are fastest on it, and stay in it.
    """
    return images.permute(0, 3, 1, 2)


_AT_ONCE = 32
"""Images that a CPU looks at together: the feature maps of many more do not stay in its caches, at half the speed."""
