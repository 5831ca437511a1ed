"""The picture of a comparison: a column of panels for each planner, success above and the time of a step below."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from agent.evaluation.pictures.files import write_figure

_INK, _QUIET, _GRID = "#222222", "#c8c8c8", "#ececec"
_REFERENCE, _OTHER = "#d55e00", "#0072b2"  # told apart by every colour vision (Okabe and Ito, 2008)
_MAX_COLUMNS = 5
_PANEL_WIDTH, _ROW_HEIGHT = 2.3, 3.6  # inch
_LETTERS = 12  # of the title, an inch

Line = Sequence[Mapping[str, Any]]
"""The settings of one planner, by rising evaluations."""


def write_plot(comparison: Mapping[str, Any], path: Path) -> Path:
    """Writes the picture of a comparison as a PNG, whole or not at all."""
    return write_figure(plot_comparison(comparison), path, dpi=160)


def plot_comparison(comparison: Mapping[str, Any]) -> Figure:
    """Draws success at the end, and the time of a planning step, against evaluations at a planning step.

    Bands and bars are the exact 95 % interval of success, and p50 to p99 of the time. In each panel the reference
    planner is dashed and all others are grey, and all panels of a kind share their axes.
    """
    lines = _lines(comparison["settings"])
    num_rows = math.ceil(len(lines) / _MAX_COLUMNS)
    num_columns = math.ceil(len(lines) / num_rows)
    size = (0.8 + _PANEL_WIDTH * max(num_columns, 2), 1.0 + _ROW_HEIGHT * num_rows)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.07), facecolor="white")
    axes = figure.subplots(2 * num_rows, num_columns, squeeze=False, height_ratios=[1.0, 0.6] * num_rows)
    for index in range(num_rows * num_columns):
        row, column = divmod(index, num_columns)
        upper, lower = axes[2 * row, column], axes[2 * row + 1, column]
        if index >= len(lines):
            upper.set_axis_off()
            lower.set_axis_off()
            continue
        name = list(lines)[index]
        _draw(upper, lines, name, comparison["reference"], _success)
        _draw(lower, lines, name, comparison["reference"], _latency)
        upper.set_title(name, loc="left", fontsize=10, fontweight="bold", color=_color(name, comparison["reference"]))
        _scale_success(upper, lines, labelled=column == 0)
        _scale_latency(lower, lines, labelled=column == 0)
        upper.tick_params(labelbottom=False)
    figure.supxlabel("evaluations at a planning step, as spent", fontsize=9, color=_INK)
    figure.suptitle(
        fill(_title(comparison), int(_LETTERS * size[0])) + "\n", x=0.01, ha="left", fontsize=10.5, color=_INK
    )
    return figure


def _lines(settings: Sequence[Mapping[str, Any]]) -> dict[str, Line]:
    """Returns each planner's settings; of two that spent the same, as where a budget does not bind, the first."""
    lines: dict[str, dict[float, Mapping[str, Any]]] = {}
    for setting in settings:
        lines.setdefault(str(setting["planner"]), {}).setdefault(float(setting["evaluations"]["mean"]), setting)
    return {name: [line[spent] for spent in sorted(line)] for name, line in lines.items()}


def _title(comparison: Mapping[str, Any]) -> str:
    episodes = comparison["settings"][0]["success_at_end"]["n"]
    text = (
        f"{comparison['env']} from {comparison['observation']}, the same {episodes} episodes for every planner: "
        "success with its 95 % interval, time from p50 to p99"
    )
    if len({setting["planner"] for setting in comparison["settings"]}) > 1:
        text += f"; dashed: {comparison['reference']}; grey: the other planners"
    return text


def _color(name: str, reference: str) -> str:
    return _REFERENCE if name == reference else _OTHER


def _spent(line: Line) -> list[float]:
    return [float(setting["evaluations"]["mean"]) for setting in line]


def _success(setting: Mapping[str, Any]) -> tuple[float, float, float]:
    """Returns success at the end and its interval, %."""
    rate = setting["success_at_end"]
    return 100 * rate["rate"], 100 * rate["low"], 100 * rate["high"]


def _latency(setting: Mapping[str, Any]) -> tuple[float, float, float]:
    """Returns the time of a planning step, ms: the middle, and from there to the slowest."""
    latency = setting["latency_ms"]
    return latency["p50"], latency["p50"], latency["p99"]


def _draw(
    axes: Axes,
    lines: Mapping[str, Line],
    name: str,
    reference: str,
    measure: Callable[[Mapping[str, Any]], tuple[float, float, float]],
) -> None:
    """Draws a planner with its intervals, before all others."""
    for other, line in lines.items():
        if other not in (name, reference):
            axes.plot(_spent(line), [measure(setting)[0] for setting in line], color=_QUIET, linewidth=0.9)
    if name != reference:
        line = lines[reference]
        axes.plot(_spent(line), [measure(setting)[0] for setting in line], "--", color=_REFERENCE, linewidth=1.2)
    middle, low, high = zip(*map(measure, lines[name]), strict=True)
    color = _color(name, reference)
    axes.fill_between(_spent(lines[name]), low, high, color=color, alpha=0.18, linewidth=0)
    axes.vlines(_spent(lines[name]), low, high, color=color, alpha=0.4, linewidth=1.5)
    axes.plot(_spent(lines[name]), middle, "o-", color=color, linewidth=1.8, markersize=4.5, clip_on=False, zorder=3)
    axes.set_axisbelow(True)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#888888")
    axes.tick_params(labelsize=8, color="#888888", labelcolor=_INK)
    spent = [number for line in lines.values() for number in _spent(line)]
    if min(spent) > 0:
        axes.set_xscale("log", base=2)
        axes.set_xlim(min(spent) / 1.3, max(spent) * 1.3)
    else:  # where all react, nothing is spent
        axes.set_xscale("symlog", base=2, linthresh=1.0)
        axes.set_xlim(-0.3, max(max(spent), 1.0) * 1.3)
    axes.xaxis.set_major_locator(FixedLocator(_powers_of_two(min(spent), max(spent))))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _powers_of_two(low: float, high: float) -> list[float]:
    """Returns at most six ticks on a range of evaluations, and one at 0 where it begins there."""
    first, last = (math.log2(max(value, 1.0)) for value in (low, high))
    powers = range(math.ceil(first - 0.1), math.floor(last + 0.1) + 1, max(1, math.ceil((last - first) / 5)))
    return [0.0] * (low == 0) + [2.0**power for power in powers]


def _scale_success(axes: Axes, lines: Mapping[str, Line], *, labelled: bool) -> None:
    """Begins below the lowest interval, in steps of 10 %, and ends at 100 %."""
    lowest = min(_success(setting)[1] for line in lines.values() for setting in line)
    axes.set_ylim(10 * math.floor(lowest / 10), 100)
    axes.tick_params(labelleft=labelled)
    if labelled:
        axes.set_ylabel("success at the end, %", fontsize=8.5, color=_INK)


def _scale_latency(axes: Axes, lines: Mapping[str, Line], *, labelled: bool) -> None:
    """Takes in all times, on a logarithmic scale."""
    times = [_latency(setting) for line in lines.values() for setting in line]
    axes.set_yscale("log")
    axes.set_ylim(min(time[1] for time in times) / 1.2, max(time[2] for time in times) * 1.2)
    axes.yaxis.set_major_locator(FixedLocator([1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(labelleft=labelled)
    if labelled:
        axes.set_ylabel("planning step, ms", fontsize=8.5, color=_INK)
