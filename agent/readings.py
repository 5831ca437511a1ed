"""What a sensor or a goal reads, before it is trusted."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def as_numbers(reading: ArrayLike) -> NDArray[np.float32] | None:
    """Returns a copy of a reading in single precision, of whichever shape, or None where it is no numbers."""
    try:
        return np.array(reading, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        return None
