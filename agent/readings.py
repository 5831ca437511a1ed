"""What a sensor or a goal reads, before it is trusted."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from envs.spec import Sensor


def as_numbers(reading: ArrayLike | Tensor) -> NDArray[np.float32] | None:
    """Returns a copy of a reading in single precision, of whichever shape, or None where it is no numbers."""
    if isinstance(reading, Tensor):
        reading = reading.detach().to("cpu", torch.float32).numpy()
    try:
        return np.array(reading, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        return None


def flaw(numbers: NDArray[np.float32], sensor: Sensor) -> str | None:
    """Returns what is wrong with a reading of its sensor's shape, as "must ..., got ...", or None."""
    if not np.isfinite(numbers).all():
        return f"must be finite, got {numbers.tolist() if numbers.size <= 32 else 'numbers that are not'}"
    if not sensor.is_image:
        return None
    least, most = float(numbers.min()), float(numbers.max())
    if least < 0 or most > 255 or (0 < most <= 1):
        return f"must be pixels from 0 to 255, got numbers from {least:g} to {most:g}"
    if (numbers == numbers[0, 0]).all():
        return f"must show something, got one colour all over, {numbers[0, 0].astype(int).tolist()}"
    return None
