"""Frames to embeddings, some at a time: what convolutions make of a picture is many times as large as it."""

from collections.abc import Mapping

import torch
from torch import Tensor

from world_model.jepa import JEPA
from world_model.types import is_image

MAX_FRAMES = 32_768
MAX_PICTURES = 512


@torch.no_grad()
def embed(model: JEPA, frames: Mapping[str, Tensor]) -> Tensor:
    """Embeds frames in a few parts, so that memory does not grow with their number.

    Args:
        model: In evaluation mode, on any device.
        frames: Sensor name to its readings `[num_frames, *shape]`, on any device.

    Returns:
        `[num_frames, embed_dim]`, on the device of the readings.
    """
    size = largest_part(model)
    readings = {name: frames[name] for name in model.sensors}
    device = next(iter(readings.values())).device
    parts = zip(*(torch.split(values, size) for values in readings.values()), strict=True)
    return torch.cat(
        [
            model.encode({name: part[None].to(model.device) for name, part in zip(readings, row, strict=True)})[0]
            for row in parts
        ]
    ).to(device)


def largest_part(model: JEPA) -> int:
    """Returns how many frames are embedded at once."""
    return MAX_PICTURES if any(map(is_image, model.sensors.values())) else MAX_FRAMES
