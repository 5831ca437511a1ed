"""What a training left: its curves, what watches over a collapse, what can be read off embeddings, pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agent.evaluation.report.bars import bars
from agent.evaluation.report.document import Figure, Film, Section
from agent.evaluation.report.drawing import BLUE, SERIES, VERMILLION, draw, label_of
from agent.evaluation.report.media import embed
from jepa_mpc.journal import whole_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LOG = "log.jsonl"
_STAGES = {"training": "World model", "training/encoders": "Encoders, before the dynamics went on alone"}
_MAX_POINTS = 200  # of a line
_PICTURES = {
    "contact": (
        "What becomes of things in imagination",
        "Lines by training step and by imagined step: how far moved things are off, and how far resting things drift",
    ),
    "distance": (
        "How far goals seem to be",
        "Maps of the workspace: the distance to a goal in embedding space, and what a critic says, place by place",
    ),
    "imagined": (
        "A held-out episode, and what is imagined of it",
        "Rows of camera frames by time: what was seen above what the world model imagined from the same actions",
    ),
}
"""Beginning of a picture's name to its title, and to what is seen in it."""


@dataclass(frozen=True)
class Curve:
    """What a log tells of one number.

    Attributes:
        steps: Of the optimiser.
        values: At these; what was not finite is NaN.
    """

    steps: NDArray[np.float64]
    values: NDArray[np.float64]


def training_section(run_folder: Path) -> Section:
    """Returns what a run folder holds of its training, and a sentence where that is nothing."""
    parts = [_world_model(path, run_folder) for path in sorted(run_folder.glob("training/**/" + _LOG))]
    behind = [*sorted(run_folder.glob("critic/*/" + _LOG)), *sorted(run_folder.glob("policy/**/" + _LOG))]
    losses = [_losses(str(path.parent.relative_to(run_folder)), read_curves(path)) for path in behind]
    parts.append(Section(title="Critics and policy", figures=tuple(it for it in losses if it is not None)))
    parts.append(Section(title="Pictures", films=_pictures(run_folder)))
    parts = [part for part in parts if part.figures or part.films]
    return Section(
        title="Training",
        text="" if parts else "The run's folder holds neither a log of its training nor a picture.",
        parts=tuple(parts),
    )


def _world_model(path: Path, run_folder: Path) -> Section:
    """Returns the section of one log, without figures where the log has nothing to draw."""
    name = str(path.parent.relative_to(run_folder))
    curves = read_curves(path)
    figures = [
        _losses(name, curves),
        _lines(
            f"{name}: held-out prediction",
            {
                "first step imagined": curves.get("validation/error_first"),
                "last step imagined": curves.get("validation/error_last"),
                "last step copied": curves.get("validation/copy_error"),
            },
            label="squared error",
            log=True,
        ),
        _lines(f"{name}: effective rank", _rank_shares(curves), label="share of the possible rank"),
        _lines(f"{name}: spread", _below(curves, "validation/std/"), label="std of embeddings"),
        _probes(name, _below(curves, "validation/probe/")),
    ]
    return Section(title=_STAGES.get(name, name), figures=tuple(figure for figure in figures if figure is not None))


def _losses(name: str, curves: Mapping[str, Curve]) -> Figure | None:
    there = {"training": curves.get("train/loss"), "held out": curves.get("validation/loss")}
    return _lines(f"{name}: loss", there, label="loss", log=True)


def read_curves(path: Path) -> dict[str, Curve]:
    """Returns each number of a log by its name, as far as whole lines go."""
    points: dict[str, list[tuple[float, float]]] = {}
    for line, _ in whole_lines(path.read_bytes()):
        for name, value in line.items():
            if name != "step":
                points.setdefault(name, []).append((line["step"], np.nan if value is None else value))
    arrays = {name: np.array(it, dtype=np.float64) for name, it in points.items()}
    return {name: Curve(steps=it[:, 0], values=it[:, 1]) for name, it in arrays.items()}


def _below(curves: Mapping[str, Curve], prefix: str) -> dict[str, Curve]:
    return {name.removeprefix(prefix): curve for name, curve in curves.items() if name.startswith(prefix)}


def _rank_shares(curves: Mapping[str, Curve]) -> dict[str, Curve]:
    """Returns the effective rank of each block over what it could be."""
    possible = _below(curves, "validation/rank_possible/")
    return {
        name: Curve(curve.steps, curve.values / possible[name].values)
        for name, curve in _below(curves, "validation/rank/").items()
        if name in possible
    }


def _lines(title: str, curves: Mapping[str, Curve | None], *, label: str, log: bool = False) -> Figure | None:
    """Returns a drawing of curves by step, or None where there are none."""
    there = {
        name: _thin(curve) for name, curve in curves.items() if curve is not None and np.isfinite(curve.values).any()
    }
    if not there:
        return None

    def plot(axes: "Axes") -> None:
        for (name, curve), (colour, style) in zip(there.items(), SERIES, strict=False):
            marker = "o" if len(curve.steps) <= 12 else None
            axes.plot(
                curve.steps,
                curve.values,
                linestyle=style,
                color=colour,
                label=label_of(name),
                marker=marker,
                markersize=4,
            )
        if log and all((curve.values[np.isfinite(curve.values)] > 0).all() for curve in there.values()):
            axes.set_yscale("log")
        else:
            axes.set_ylim(min(0.0, axes.get_ylim()[0]), 1.05 * axes.get_ylim()[1])
        axes.set_xlim(left=0.0)
        axes.set_xlabel("step of the optimiser")
        axes.set_ylabel(label)

    last = ", ".join(f"{name} {curve.values[np.isfinite(curve.values)][-1]:.3g}" for name, curve in there.items())
    return draw(title, f"{label} by step of the optimiser; in the end {last}", plot)


def _thin(curve: Curve) -> Curve:
    """Returns a curve of few points, each the mean of its neighbours."""
    if len(curve.steps) <= _MAX_POINTS:
        return curve
    parts = np.array_split(np.arange(len(curve.steps)), _MAX_POINTS)
    return Curve(
        np.array([curve.steps[part].mean() for part in parts]), np.array([curve.values[part].mean() for part in parts])
    )


def _probes(name: str, curves: Mapping[str, Curve]) -> Figure | None:
    """Returns a drawing of what can be read off embeddings in the end, or None where nothing was tried."""
    last = {sensor: float(curve.values[-1]) for sensor, curve in curves.items() if np.isfinite(curve.values[-1])}
    if not last:
        return None
    colours = [BLUE if value >= 0.9 else VERMILLION for value in last.values()]
    return bars(f"{name}: what can be read off embeddings", last, colours, label="R² of a linear probe")


def _pictures(run_folder: Path) -> tuple[Film, ...]:
    films = []
    for path in sorted(run_folder.glob("pictures/*.png")):
        title, alternative = _PICTURES.get(path.stem.partition("_")[0], (path.stem, f"The picture {path.name}"))
        films.append(Film(title, path.name, (embed(path, alternative),)))
    return tuple(films)
