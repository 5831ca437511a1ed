"""Images as encoders take them."""

import torch
from torch import Tensor, nn

STRIDE = 4
"""Pixels from one cell of a map to the next."""


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


def map_layers(channels: int, num_maps: int) -> nn.Sequential:
    """Returns convolutions from images `[rows, 3, height, width]` to maps, one cell for `STRIDE` by `STRIDE` pixels.

    Args:
        channels: Of every convolution but the last.
        num_maps: What the last one gives.
    """
    return nn.Sequential(
        nn.Conv2d(3, channels, kernel_size=4, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(channels, channels, kernel_size=4, stride=2, padding=1),
        nn.SiLU(),
        nn.Conv2d(channels, channels, kernel_size=3, padding=1),
        nn.SiLU(),
        nn.Conv2d(channels, num_maps, kernel_size=1, bias=False),
    )


def centres(num_cells: int, like: Tensor) -> Tensor:
    """Returns the centres of equal cells that fill [-1, 1], in the dtype and on the device of another tensor."""
    cells = torch.arange(num_cells, dtype=like.dtype, device=like.device)
    return (2 * cells + 1) / num_cells - 1
