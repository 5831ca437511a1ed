"""What may change in a picture without changing what it shows: a small shift of the camera, and the light."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from jepa_mpc.ranges import check_count, check_number


@dataclass(frozen=True)
class Augmentation:
    """Random changes of the frames of a window, the same for all of them, so that what moves in it stays the same.

    Attributes:
        max_shift: Largest shift in each direction, pixels; what comes in from outside repeats the border.
        max_brightness: Largest change of all colours, as a share of their range.
        max_contrast: Largest change of the distance from the mean grey, as a share of itself.
    """

    max_shift: int
    max_brightness: float
    max_contrast: float

    def __post_init__(self) -> None:
        check_count("training.augmentation.max_shift", self.max_shift, least=0)
        for name in ("max_brightness", "max_contrast"):
            check_number(f"training.augmentation.{name}", getattr(self, name), least=0, most=1)

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> "Augmentation":
        """Returns the augmentation of a config.

        Raises:
            ValueError: It has other keys, or a value without meaning.
        """
        keys = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or values.keys() != set(keys):
            raise ValueError(f"training.augmentation must have the keys {keys}, got {values}")
        return cls(**values)

    def __call__(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        """Changes the frames of windows.

        Args:
            images: `[batch, time, height, width, 3]`, 0 to 255.
            rng: Of all random draws.

        Returns:
            Images of the same shape: the same ones where nothing may change, float where the light does.
        """
        if self.max_shift > 0:
            images = _shift(images, rng.integers(-self.max_shift, self.max_shift + 1, (2, len(images), 1)))
        if self.max_brightness > 0 or self.max_contrast > 0:
            images = self._relight(images.float(), rng)
        return images

    def _relight(self, images: Tensor, rng: np.random.Generator) -> Tensor:
        shape = (len(images), 1, 1, 1, 1)
        brightness, contrast = (
            torch.from_numpy(rng.uniform(-most, most, shape).astype(np.float32)).to(images.device)
            for most in (self.max_brightness, self.max_contrast)
        )
        grey = images.mean(dim=(1, 2, 3, 4), keepdim=True)
        return (grey + (1 + contrast) * (images - grey) + 255 * brightness).clamp(0, 255)


def _shift(images: Tensor, shifts: "np.ndarray[Any, np.dtype[np.int64]]") -> Tensor:
    """Shifts windows `[batch, time, height, width, 3]` by whole pixels, down and to the right: `[2, batch, 1]`."""
    rows, columns = (
        torch.from_numpy((np.arange(size) - shift).clip(0, size - 1)).to(images.device)
        for size, shift in zip(images.shape[2:4], shifts, strict=True)
    )  # [batch, height], [batch, width]
    windows = torch.arange(len(images), device=images.device)[:, None, None]
    return images.transpose(1, 2).transpose(2, 3)[windows, rows[:, :, None], columns[:, None]].movedim(3, 1)
