"""What draws, and what is drawn beside the scene."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jepa_mpc.errors import UserError

MARKER_COLOR = (0.1, 0.8, 0.3, 0.5)


class NothingRenders(UserError):  # noqa: N818 - it is no error that nothing depends on
    """Something cannot be drawn on this machine, or not at all; the message says what helps."""


@dataclass(frozen=True)
class Marker:
    """A translucent ball for human eyes; no sensor sees it.

    Attributes:
        position: `[3]`, m.
        radius: m.
    """

    position: NDArray[np.float32]
    radius: float


class Renderer(Protocol):
    """Draws what one camera of a model sees. Make it in the process that uses it, never before a fork, and close it."""

    def image(self, data: Any, *, markers: Sequence[Marker] = ()) -> NDArray[np.uint8]:
        """Returns what the camera sees, `[height, width, 3]`; what the simulation does next is the same without it."""
        ...

    def close(self) -> None:
        """Frees what the renderer holds; it is of no use afterwards."""
        ...
