"""A recorded episode beside the same episode imagined: only its beginning is seen, and all actions are known."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from agent.evaluation.pictures.files import write_figure
from world_model.interpreter import Interpreter, first_camera
from world_model.jepa import JEPA
from world_model.objectives.prediction import imagine

_INK, _LINE = "#222222", "#0072b2"
_NUM_COLUMNS = 9
_PITCH, _PANEL_HEIGHT = 1.1, 1.3  # inch, from picture to picture and from panel to panel
_LEFT, _TOP, _MARGIN, _BOTTOM = 0.8, 0.3, 0.1, 0.55  # inch


@dataclass(frozen=True)
class ImaginedEpisode:
    """What was recorded, and what was imagined of it from its first frames on.

    Attributes:
        times: `[time]`, s, of the frames; the first are those that imagination starts from.
        num_seen: How many frames it starts from.
        real: `[time, height, width, 3]`, what the camera saw.
        embedded: `[time, 64, 64, 3]`, decoded from the embeddings of what was seen: what they know of it.
        imagined: `[time, 64, 64, 3]`, decoded from imagined embeddings; the first are those that were seen.
        surprise: `[time]`, mean squared distance of imagined from real embeddings; 0 where nothing is imagined.
        place_sensor: Reads where the robot is, m.
        place_error: `[time]`, m, between the place that is read off the imagined embedding and the true one.
    """

    times: NDArray[np.float64]
    num_seen: int
    real: NDArray[np.uint8]
    embedded: NDArray[np.uint8]
    imagined: NDArray[np.uint8]
    surprise: NDArray[np.float64]
    place_sensor: str
    place_error: NDArray[np.float64]


@torch.no_grad()
def imagine_episode(
    model: JEPA,
    interpreter: Interpreter,
    *,
    observations: Mapping[str, NDArray[Any]],
    actions: NDArray[np.float32],
    place_sensor: str,
    control_dt: float,
) -> ImaginedEpisode:
    """Imagines a recorded episode in one go.

    Args:
        model: Imagines; in evaluation mode.
        interpreter: Reads embeddings.
        observations: Sensor name to its readings, `[num_steps + 1, *shape]`.
        actions: `[num_steps, action_dim]`.
        place_sensor: Reads where the robot is, m.
        control_dt: Control period, s.
    """
    repeat, num_seen = model.action_repeat, model.context_length
    num_steps = len(actions) // repeat
    frames = {name: readings[: num_steps * repeat + 1 : repeat] for name, readings in observations.items()}
    readings = {name: torch.from_numpy(np.array(frames[name]))[None] for name in model.sensors}
    embeddings = model.encode(readings)
    commands = torch.from_numpy(np.array(actions[: num_steps * repeat])).view(1, num_steps, -1)
    dreamt = torch.cat([embeddings[:, :num_seen], imagine(model, embeddings, commands)], dim=1)
    return ImaginedEpisode(
        times=control_dt * repeat * np.arange(num_steps + 1, dtype=np.float64),
        num_seen=num_seen,
        real=np.asarray(frames[first_camera(model)]),
        embedded=interpreter.pictures(embeddings[0]),
        imagined=interpreter.pictures(dreamt[0]),
        surprise=(dreamt - embeddings)[0].square().mean(dim=1).double().numpy(),
        place_sensor=place_sensor,
        place_error=np.linalg.norm(interpreter.places(dreamt[0]) - frames[place_sensor], axis=1),
    )


def write_imagined_episode(episode: ImaginedEpisode, path: Path) -> Path:
    """Writes the picture of an episode as a PNG, whole or not at all; see `plot_imagined_episode`."""
    return write_figure(plot_imagined_episode(episode), path, dpi=130)


def plot_imagined_episode(episode: ImaginedEpisode) -> Figure:
    """Draws frames of an episode, evenly spaced in time: real, decoded from their embeddings, and imagined.

    Below them, each step below its frame, are the surprise and how far off the imagined place of the robot is.
    """
    spacing = max(1, math.ceil((len(episode.times) - 1) / (_NUM_COLUMNS - 1)))
    columns = range(0, len(episode.times), spacing)[:_NUM_COLUMNS]
    width, height = _LEFT + _PITCH * len(columns) + _MARGIN, _TOP + 3 * _PITCH + 2 * _PANEL_HEIGHT + _BOTTOM
    figure = Figure(figsize=(width, height), facecolor="white")

    def axes_at(left: float, top: float, across: float, down: float) -> Axes:
        """Returns axes at a place that is given in inches from the upper left corner."""
        return figure.add_axes((left / width, 1 - (top + down) / height, across / width, down / height))

    rows = {"real": episode.real, "decoded\nagain": episode.embedded, "imagined": episode.imagined}
    for row, (label, pictures) in enumerate(rows.items()):
        for column, index in enumerate(columns):
            axes = axes_at(_LEFT + _PITCH * column, _TOP + _PITCH * row, 0.96 * _PITCH, 0.96 * _PITCH)
            axes.imshow(pictures[index], interpolation="nearest")
            axes.set_axis_off()
            if row == 0:
                axes.set_title(f"{episode.times[index]:.2f} s", fontsize=8.5, color=_INK)
            if column == 0:
                axes.text(-0.1, 0.5, label, fontsize=8.5, color=_INK, ha="right", va="center", transform=axes.transAxes)
    panels = {
        "surprise: mean squared error of the imagined embedding": episode.surprise,
        f"{episode.place_sensor}, as read off the imagined embedding: off by, cm": 100 * episode.place_error,
    }
    half = 0.5 * spacing * (episode.times[1] - episode.times[0])
    for panel, (label, values) in enumerate(panels.items()):
        top = _TOP + 3 * _PITCH + _PANEL_HEIGHT * panel + 0.4
        axes = axes_at(_LEFT, top, _PITCH * len(columns) - 0.04 * _PITCH, _PANEL_HEIGHT - 0.4)
        _draw(axes, episode, values[: columns[-1] + 1], label)
        axes.set_xlim(-half, episode.times[columns[-1]] + half)
        axes.tick_params(labelbottom=panel == 1)
    axes.set_xlabel("time, s", fontsize=8.5, color=_INK)
    return figure


def _draw(axes: Axes, episode: ImaginedEpisode, values: NDArray[np.float64], label: str) -> None:
    imagined = slice(episode.num_seen - 1, None)
    times = episode.times[: len(values)]
    axes.plot(times[imagined], values[imagined], "o-", color=_LINE, linewidth=1.4, markersize=3, clip_on=False)
    axes.set_ylim(0.0, 1.15 * max(values[imagined].max(), 1e-9))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
    axes.set_title(label, loc="left", fontsize=8.5, color=_INK)
    axes.grid(axis="y", color="#ececec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#888888")
    axes.tick_params(labelsize=8, color="#888888", labelcolor=_INK)
