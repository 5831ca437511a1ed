"""Strokes over pictures, and pictures side by side."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
"""`[height, width, 3]`."""

GAP = 8
"""Between two pictures, pixels."""

_CAPTION_HEIGHT, _FONT_SIZE = 22, 13  # pixels
_INK, _PAPER = (34, 34, 34), (255, 255, 255)
_PATH, _KEYPOINT, _ATTENTION = (230, 159, 0), (86, 180, 233), (240, 228, 66)  # Okabe and Ito, 2008
_OVERSAMPLING = 4


def enlarged(picture: Picture, size: int) -> Picture:
    """Returns a square picture in another size; where that is a multiple, pixels stay what they are."""
    resample = Image.Resampling.LANCZOS if size % len(picture) else Image.Resampling.NEAREST
    return np.asarray(Image.fromarray(picture).resize((size, size), resample))


def blank(size: int, *, text: str) -> Picture:
    """Returns a grey square that says why it shows nothing."""
    image = Image.new("RGB", (size, size), (236, 236, 236))
    ImageDraw.Draw(image).text(
        (size / 2, size / 2), text, fill=(120, 120, 120), font=_font(), anchor="mm", align="center"
    )
    return np.asarray(image)


def with_path(picture: Picture, points: NDArray[np.float64]) -> Picture:
    """Draws a path, its start first, and a dot at each of its ends of steps.

    Args:
        picture: Is copied.
        points: `[num_points, 2]`, as `Lens.project` returns them; a path ends before a point that is nowhere.
    """
    nowhere = np.isnan(points).any(axis=1)
    seen = points[: int(nowhere.argmax())] if nowhere.any() else points

    def strokes(draw: ImageDraw.ImageDraw, size: int) -> None:
        places = [(float(x), float(y)) for x, y in (seen + 1) / 2 * size]
        unit = size / 320
        for width, color in ((5 * unit, _INK), (3 * unit, _PATH)):
            draw.line(places, fill=color, width=round(width), joint="curve")
        for x, y in places[1:]:
            for radius, color in ((5 * unit, _INK), (4 * unit, _PATH)):
                draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)

    return _drawn_on(picture, strokes) if len(seen) > 1 else picture


def with_keypoints(picture: Picture, points: NDArray[np.float64]) -> Picture:
    """Draws a ring around each of some places `[num_points, 2]`, -1 and 1 being the picture's edges."""

    def strokes(draw: ImageDraw.ImageDraw, size: int) -> None:
        unit = size / 320
        for x, y in (points + 1) / 2 * size:
            draw.ellipse(
                (x - 3.5 * unit, y - 3.5 * unit, x + 3.5 * unit, y + 3.5 * unit),
                outline=_KEYPOINT,
                width=max(1, round(1.5 * unit)),
            )

    return _drawn_on(picture, strokes)


def with_attention(picture: Picture, weights: NDArray[np.float64]) -> Picture:
    """Tints a square picture where weights `[rows, columns]` are high, in the mean by a quarter."""
    size = len(picture)
    shares = np.minimum(0.25 * weights / weights.mean(), 0.8)
    mask = Image.fromarray((255 * shares).astype(np.uint8)).resize((size, size), Image.Resampling.NEAREST)
    return np.asarray(Image.composite(Image.new("RGB", (size, size), _ATTENTION), Image.fromarray(picture), mask))


def with_inset(picture: Picture, inset: Picture, *, caption: str) -> Picture:
    """Puts a small picture with a caption into the upper right corner of another one."""
    image = Image.fromarray(picture)
    size, margin = len(inset), 6
    corner = (image.width - size - margin, margin)
    draw = ImageDraw.Draw(image)
    draw.rectangle((corner[0] - 2, corner[1] - 2, corner[0] + size + 1, corner[1] + size + 1), fill=_PAPER)
    image.paste(Image.fromarray(inset), corner)
    draw.text((corner[0] + 5, corner[1] + 3), caption, fill=_PAPER, font=_font(), stroke_width=2, stroke_fill=_INK)
    return np.asarray(image)


def captioned(picture: Picture, text: str) -> Picture:
    """Puts a line of text above a picture."""
    line = Image.new("RGB", (picture.shape[1], _CAPTION_HEIGHT), _PAPER)
    ImageDraw.Draw(line).text((1, 4), text, fill=_INK, font=_font())
    return np.vstack([np.asarray(line), picture])


def beside(pictures: Sequence[Picture]) -> Picture:
    """Puts pictures of one height side by side."""
    gap = np.full((len(pictures[0]), GAP, 3), _PAPER, np.uint8)
    return np.hstack([part for picture in pictures for part in (gap, picture)][1:])


def below(pictures: Sequence[Picture]) -> Picture:
    """Puts pictures below each other, flush on the left, with a margin around all."""
    width = max(picture.shape[1] for picture in pictures)
    rows = [
        np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)), constant_values=_PAPER[0])
        for picture in pictures
    ]
    return np.pad(np.vstack(rows), ((0, GAP), (GAP, GAP), (0, 0)), constant_values=_PAPER[0])


def _drawn_on(picture: Picture, strokes: Callable[[ImageDraw.ImageDraw, int], None]) -> Picture:
    """Draws on a square picture without jagged edges."""
    size = _OVERSAMPLING * len(picture)
    sheet = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    strokes(ImageDraw.Draw(sheet), size)
    sheet = sheet.resize((len(picture), len(picture)), Image.Resampling.BOX)
    return np.asarray(Image.alpha_composite(Image.fromarray(picture).convert("RGBA"), sheet).convert("RGB"))


@cache
def _font() -> ImageFont.FreeTypeFont:
    from matplotlib import get_data_path

    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", _FONT_SIZE)
