"""What becomes of things in imagination: those that are moved, and those that rest, as a training went on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agent.evaluation.pictures.files import write_figure

PREFIX = "validation/contact/"
"""Of the keys in a training's log."""

_INK = "#222222"
_LINES = {
    "moving_error": ("moved: off by", "#d55e00", "-"),
    "moving_copy": ("moved: off by, if it stayed", "#888888", "--"),
    "probe_error": ("moved: off by, as seen", "#888888", ":"),
    "resting_drift": ("at rest: drifts by", "#0072b2", "-"),
}


def write_contact_plot(stages: Mapping[str, Sequence[Mapping[str, float]]], path: Path) -> Path:
    """Writes the picture as a PNG, whole or not at all; see `plot_contact`."""
    return write_figure(plot_contact(stages), path, dpi=130)


def plot_contact(stages: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Draws errors over the steps of each stage of a training, and in the end over the steps that are imagined.

    Args:
        stages: Name to the lines of its log that judge contact, at least one; see `ContactWindows.measure`.
    """
    figure = Figure(figsize=(3.4 * (len(stages) + 1), 2.8), layout="constrained", facecolor="white")
    *panels, last = figure.subplots(1, len(stages) + 1, sharey=True)
    for axes, (name, lines) in zip(panels, stages.items(), strict=True):
        steps = [line["step"] for line in lines]
        for key, (label, colour, style) in _LINES.items():
            values = [line[PREFIX + key] for line in lines]
            axes.plot(steps, values, style, color=colour, label=label, marker=".")
        _finish(axes, f"training: {name}", "step of the optimiser")
    final = list(stages.values())[-1][-1]
    imagined = sorted({int(key.split("after_")[1].split("/")[0]) for key in final if key.startswith(f"{PREFIX}after_")})
    for key, (label, colour, style) in _LINES.items():
        if key != "probe_error":
            values = [final[f"{PREFIX}after_{step}/{key}"] for step in imagined]
            last.plot(imagined, values, style, color=colour, label=label, marker=".")
    _finish(last, "in the end", "imagined model steps")
    panels[0].set_ylabel("in the sensor's unit", fontsize=8.5, color=_INK)
    panels[0].set_ylim(bottom=0.0)
    last.set_xticks(imagined)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(_LINES), fontsize=8, frameon=False)
    return figure


def _finish(axes: Axes, title: str, label: str) -> None:
    axes.set_title(title, loc="left", fontsize=8.5, color=_INK)
    axes.set_xlabel(label, fontsize=8.5, color=_INK)
    axes.tick_params(labelsize=8, color="#888888", labelcolor=_INK)
    axes.spines[["top", "right"]].set_visible(False)
