"""Where the effector is: as it is read, and while the reading stands still, as reckoned from what it was told."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-5
"""A way, m, that a reading in single precision may hide."""


@dataclass(frozen=True)
class EffectorTrack:
    """What is known of the effector.

    Attributes:
        reading: `[3]`, m, the last finite one.
        position: `[action_dim]`, m: the reading, and on top of it what was told since the reading last changed.
        still_steps: Control steps at which the effector was told to move and the reading stayed the same to the last
            bit, since it last changed. A robot that holds still is no witness, neither for nor against.
    """

    reading: NDArray[np.float32]
    position: NDArray[np.float64]
    still_steps: int


def follow(
    track: EffectorTrack | None, reading: NDArray[np.float32] | None, told: NDArray[np.float64]
) -> EffectorTrack | None:
    """Returns what is known of the effector one control step later; None while it was never read.

    Args:
        track: What was known.
        reading: `[3]`, m, or None where nothing finite is read.
        told: `[action_dim]`, m, how far it was told to go since.
    """
    if reading is not None and (track is None or not np.array_equal(reading, track.reading)):
        return EffectorTrack(reading=reading.copy(), position=reading[: len(told)].astype(np.float64), still_steps=0)
    if track is None:
        return None
    should_differ = reading is not None and float(np.linalg.norm(told)) > ROUNDING
    return EffectorTrack(
        reading=track.reading, position=track.position + told, still_steps=track.still_steps + should_differ
    )
