"""The picture of an ablation: success of each row with its interval, and what a step takes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from agent.evaluation.pictures.files import write_figure

_INK, _QUIET, _GRID = "#222222", "#777777", "#ececec"
_AT_END, _ONCE = "#0072b2", "#d55e00"  # told apart by every colour vision (Okabe and Ito, 2008)
_OFFSET = 0.14  # of a row's two points from its middle


def write_plot(ablation: Mapping[str, Any], path: Path) -> Path:
    """Writes the picture of an ablation as a PNG, whole or not at all."""
    return write_figure(plot_ablation(ablation), path, dpi=160)


def plot_ablation(ablation: Mapping[str, Any]) -> Figure:
    """Draws success at the end and once, with exact 95 % intervals: one row a part, the first on top."""
    rows = ablation["rows"]
    figure = Figure(figsize=(8.6, 1.3 + 0.46 * len(rows)), layout="constrained", facecolor="white")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        for key, color, offset in (("success_at_end", _AT_END, -_OFFSET), ("success_once", _ONCE, _OFFSET)):
            rate, low, high = (100 * row[key][bound] for bound in ("rate", "low", "high"))
            axes.hlines(place + offset, low, high, color=color, linewidth=2.2, alpha=0.55)
            axes.plot(rate, place + offset, "o", color=color, markersize=5.5, clip_on=False, zorder=3)
        took = f"{row['evaluations_per_step']:,.0f} evaluations, {row['decision_ms']['p50']:.1f} ms"
        axes.text(103, place, took, va="center", fontsize=8.5, color=_QUIET)
    for color, label in ((_AT_END, "at the end"), (_ONCE, "once")):
        axes.plot([], [], "o-", color=color, markersize=5.5, linewidth=2.2, label=label)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize=9)
    axes.text(103, -0.75, "a model step: mean, median", fontsize=8.5, color=_QUIET, va="center", fontweight="bold")
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows], fontsize=10)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("success with its 95 % interval, %", fontsize=9, color=_INK)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color=_GRID, linewidth=0.8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#888888")
    axes.tick_params(color="#888888", labelcolor=_INK, length=0)
    axes.tick_params(axis="x", labelsize=9)
    axes.set_title(
        f"{ablation['env']}, n = {rows[0]['success_at_end']['n']}",
        loc="left",
        fontsize=10.5,
        color=_INK,
    )
    return figure
