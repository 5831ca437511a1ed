"""The pictures of what surprises: impossible steps beside possible ones, and what the strangest look like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from agent.evaluation.pictures.files import write_figure


@dataclass(frozen=True)
class Step:
    """What a model step looks like to people.

    Attributes:
        what: Happens in it.
        surprise: Of the world model.
        before: `[height, width, 3]`, uint8.
        after: The same.
    """

    what: str
    surprise: float
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]


_INK, _GRID = "#222222", "#ececec"
_IMPOSSIBLE, _POSSIBLE = "#d55e00", "#0072b2"  # told apart by every colour vision (Okabe and Ito, 2008)
_SPREAD = 0.12  # of the dots, from the middle of their column


def write_surprise_plot(results: Mapping[str, Any], path: Path) -> Path:
    """Writes the picture of all tricks as a PNG, whole or not at all."""
    return write_figure(plot_surprise(results), path, dpi=160)


def plot_surprise(results: Mapping[str, Any]) -> Figure:
    """Draws a dot for each step of each pair, and the areas under the curve above."""
    tricks = {name: it for name, it in results["tricks"].items() if it is not None}
    figure = Figure(figsize=(1.6 + 1.25 * max(len(tricks), 2), 4.2), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for column, it in enumerate(tricks.values()):
        _draw_dots(axes, column - 0.2, it["impossible"], _IMPOSSIBLE)
        _draw_dots(axes, column + 0.2, it["possible"], _POSSIBLE)
    axes.set_yscale("log")
    axes.set_ylabel("surprise: error beside the usual one", fontsize=9, color=_INK)
    axes.set_xticks(range(len(tricks)), [f"{name}\nAUC {it['area']['rate']:.2f}" for name, it in tricks.items()])
    axes.tick_params(labelsize=8, colors=_INK)
    axes.grid(axis="y", color=_GRID)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.suptitle(
        f"{results['env']} from {results['observation']}: what nothing does (left, orange), and pushes\n"
        "in which as much of what is seen changes (right, blue); bar: median",
        x=0.01,
        ha="left",
        fontsize=10,
        color=_INK,
    )
    return figure


def _draw_dots(axes: Axes, middle: float, surprises: Sequence[float], color: str) -> None:
    offsets = np.linspace(-_SPREAD, _SPREAD, len(surprises))[np.random.default_rng(0).permutation(len(surprises))]
    axes.plot(middle + offsets, surprises, ".", markersize=3, color=color, alpha=0.7)
    axes.plot([middle - _SPREAD, middle + _SPREAD], [np.median(surprises)] * 2, color=color, linewidth=2)


def write_strip(steps: Sequence[Step], path: Path) -> Path:
    """Writes steps side by side as a PNG, whole or not at all."""
    return write_figure(plot_strip(steps), path, dpi=110)


def plot_strip(steps: Sequence[Step]) -> Figure:
    """Draws steps side by side, at least one, each before above after."""
    figure = Figure(figsize=(2.0 * len(steps), 4.6), layout="constrained", facecolor="white")
    rows = figure.subplots(2, len(steps), squeeze=False)
    for column, step in enumerate(steps):
        for row, (picture, when) in enumerate(((step.before, "before"), (step.after, "after"))):
            axes = rows[row, column]
            axes.imshow(picture)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_xlabel(when, fontsize=8, color=_INK)
        rows[0, column].set_title(f"{step.what}\nsurprise {step.surprise:.3g}", fontsize=9, color=_INK)
    return figure
