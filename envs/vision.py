"""What an environment shows its agent beside numbers: cameras, each of them one sensor."""

from collections.abc import Sequence
from dataclasses import dataclass

IMAGE_SIZES = range(16, 513)
"""Pixels."""


@dataclass(frozen=True, kw_only=True)
class Vision:
    """An observation mode with cameras. The agent sees their frames and, if at all, its own body; no object's pose.

    Attributes:
        cameras: Cameras of the task's MJCF, as "fixed" or "wrist"; the camera "fixed" is the sensor "fixed_camera".
        image_size: Width and height of a frame, pixels.
        proprioception: Whether the agent feels itself too, as its joints.
        backends: What draws the frames; of several, each episode has the next, by its seed.

    Raises:
        ValueError: A value is out of its range.
    """

    cameras: Sequence[str]
    image_size: int
    proprioception: bool
    backends: Sequence[str]

    def __post_init__(self) -> None:
        for name in ("cameras", "backends"):
            value = getattr(self, name)
            if isinstance(value, str) or not value or len(set(value)) < len(value):
                raise ValueError(f"{name} must be a list of different names, got {value!r}")
        if self.image_size not in IMAGE_SIZES:
            raise ValueError(
                f"image_size must be in {IMAGE_SIZES.start}..{IMAGE_SIZES.stop - 1} pixels, got {self.image_size!r}"
            )

    @property
    def sensors(self) -> dict[str, str]:
        """Sensor name to its camera."""
        return {f"{camera}_camera": camera for camera in self.cameras}

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a frame: height, width, colours."""
        return (self.image_size, self.image_size, 3)
