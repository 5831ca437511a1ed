"""Films and pictures as files: the one place that writes them, all through imageio."""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from jepa_mpc.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WEBP_QUALITY = 85  # of 100
_MP4_QUALITY = 8  # of 10


def write_film(frames: Sequence[NDArray[np.uint8]], path: Path, *, frame_dt: float) -> Path:
    """Writes a film, whole or not at all.

    Args:
        frames: At least one, `[height, width, 3]` each.
        path: Its suffix is one of `FILM_FORMATS`.
        frame_dt: From frame to frame, s.

    Raises:
        OSError: It cannot be written.
    """
    return _write(path, FILM_FORMATS[path.suffix.removeprefix(".")](np.stack(frames), frame_dt))


def write_figure(figure: "Figure", path: Path, *, dpi: int) -> Path:
    """Writes a figure as a PNG, whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure.set_dpi(dpi)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    return _write(path, iio.imwrite("<bytes>", pixels, extension=".png", plugin="pillow"))


def missing_plugin(film_format: str) -> str | None:
    """Returns what films of a format lack on this machine, and the command that mends it; None where that is nothing.

    Args:
        film_format: One of `FILM_FORMATS`.
    """
    if film_format == "webp" and not features.check("webp"):
        return "webp films need a Pillow that was built with WebP: `pip install --force-reinstall pillow`"
    if film_format == "mp4":
        try:
            import_module("imageio_ffmpeg").get_ffmpeg_exe()
        except (ImportError, RuntimeError):
            return "mp4 films need the extra 'video', which brings imageio-ffmpeg: `pip install 'jepa-mpc[video]'`"
    return None


def _gif(frames: NDArray[np.uint8], frame_dt: float) -> bytes:
    """All frames share the 256 colours that an octree finds in them.

    It keeps those that are rare, as the goal's, where the median cut that is made for RGB frames would not.
    """
    palette = Image.fromarray(frames.reshape(-1, *frames.shape[2:])).quantize(method=Image.Quantize.FASTOCTREE)
    reduced = [
        np.asarray(Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB"))
        for frame in frames
    ]
    return iio.imwrite("<bytes>", reduced, extension=".gif", plugin="pillow", duration=_milliseconds(frame_dt), loop=0)


def _webp(frames: NDArray[np.uint8], frame_dt: float) -> bytes:
    return iio.imwrite(
        "<bytes>",
        frames,
        extension=".webp",
        plugin="pillow",
        is_batch=True,
        duration=_milliseconds(frame_dt),
        loop=0,
        quality=_WEBP_QUALITY,
    )


def _mp4(frames: NDArray[np.uint8], frame_dt: float) -> bytes:
    """An edge is repeated where height or width is odd, since a player's colours have half the resolution."""
    height, width = frames.shape[1:3]
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return iio.imwrite(
        "<bytes>",
        even,
        extension=".mp4",
        plugin="FFMPEG",
        is_batch=True,
        fps=1 / frame_dt,
        codec="libx264",
        pixelformat="yuv420p",
        quality=_MP4_QUALITY,
        macro_block_size=1,
    )


FILM_FORMATS: Mapping[str, Callable[[NDArray[np.uint8], float], bytes]] = {"gif": _gif, "mp4": _mp4, "webp": _webp}
"""Name to what encodes frames `[time, height, width, 3]` with so many seconds between them."""


def _milliseconds(seconds: float) -> int:
    return round(1e3 * seconds)


def _write(path: Path, content: bytes) -> Path:
    write_whole(path, content)
    return path
