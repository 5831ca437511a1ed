"""The picture of a learning curve: success against frames, and against minutes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agent.evaluation.pictures.files import write_figure

_INK, _GRID = "#222222", "#ececec"
_AT_END, _ONCE = "#0072b2", "#d55e00"  # told apart by every colour vision (Okabe and Ito, 2008)
_SHIFT = 1.04  # to the right, so that no interval hides another


def write_plot(findings: Mapping[str, Any], path: Path) -> Path:
    """Writes the picture of a learning curve as a PNG, whole or not at all."""
    return write_figure(plot_curve(findings["points"]), path, dpi=160)


def plot_curve(points: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws success at the end and once, with exact 95 % intervals; what took an unknown time is left out of one."""
    figure = Figure(figsize=(8.6, 3.4), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2, sharey=True)
    _draw(left, points, [point["frames"] / 1000 for point in points], "frames, thousands")
    timed = [point for point in points if point["seconds"] is not None]
    _draw(right, timed, [point["seconds"] / 60 for point in timed], "minutes of the whole run")
    left.set_ylabel("success with its 95 % interval, %", fontsize=9, color=_INK)
    left.legend(frameon=False, fontsize=9, loc="lower right")
    return figure


def _draw(axes: Axes, points: Sequence[Mapping[str, Any]], places: Sequence[float], label: str) -> None:
    for key, color, name, shift in (
        ("success_at_end", _AT_END, "at the end", 1.0),
        ("success_once", _ONCE, "once", _SHIFT),
    ):
        rates = [100 * point[key]["rate"] for point in points]
        errors = [
            [abs(100 * point[key][end] - rate) for point, rate in zip(points, rates, strict=True)]
            for end in ("low", "high")
        ]
        axes.errorbar(
            [shift * place for place in places],
            rates,
            errors,
            color=color,
            marker="o",
            markersize=5,
            linewidth=1.8,
            capsize=2,
            label=name,
        )
    axes.set_xscale("log")
    axes.set_xticks(places, [f"{place:.3g}" for place in places])
    axes.minorticks_off()
    axes.set_ylim(0, 102)
    axes.set_xlabel(label, fontsize=9, color=_INK)
    axes.set_axisbelow(True)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9, labelcolor=_INK)
