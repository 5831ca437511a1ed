"""A recorded episode beside the same episode imagined: only its beginning is seen, and all actions are known."""

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

from world_model.interpreter import Interpreter, first_camera
from world_model.jepa import JEPA
from world_model.losses import imagine

_INK, _LINE = "#222222", "#0072b2"
_NUM_COLUMNS = 9
_COLUMN_WIDTH, _PANEL_HEIGHT = 1.15, 1.0  # inch


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
        tip_error: `[time]`, m, between the tip that is read off the imagined embedding and the true one.
    """

    times: NDArray[np.float64]
    num_seen: int
    real: NDArray[np.uint8]
    embedded: NDArray[np.uint8]
    imagined: NDArray[np.uint8]
    surprise: NDArray[np.float64]
    tip_error: NDArray[np.float64]


@torch.no_grad()
def imagine_episode(
    model: JEPA,
    interpreter: Interpreter,
    *,
    observations: Mapping[str, NDArray[Any]],
    actions: NDArray[np.float32],
    control_dt: float,
) -> ImaginedEpisode:
    """Imagines a recorded episode in one go.

    Args:
        model: Imagines; in evaluation mode.
        interpreter: Reads embeddings.
        observations: Sensor name to its readings, `[num_steps + 1, *shape]`.
        actions: `[num_steps, action_dim]`.
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
        tip_error=np.linalg.norm(interpreter.tips(dreamt[0]) - frames["tip"], axis=1),
    )


def write_imagined_episode(episode: ImaginedEpisode, path: Path) -> Path:
    """Writes the picture of an episode as a PNG, whole or not at all; see `plot_imagined_episode`."""
    part = path.with_suffix(".part")
    plot_imagined_episode(episode).savefig(part, format="png", dpi=130)
    part.replace(path)
    return path


def plot_imagined_episode(episode: ImaginedEpisode) -> Figure:
    """Draws frames of an episode, evenly spaced in time: real, decoded from their embeddings, and imagined.

    Below them are the surprise and how far the imagined tip is off, at every step, each below its frame.
    """
    spacing = max(1, (len(episode.times) - 1) // (_NUM_COLUMNS - 1))
    columns = np.arange(0, len(episode.times), spacing)[:_NUM_COLUMNS]
    size = (_COLUMN_WIDTH * len(columns) + 0.9, 3 * _COLUMN_WIDTH + 2 * _PANEL_HEIGHT + 0.7)
    figure = Figure(figsize=size, facecolor="white")
    heights = [_COLUMN_WIDTH] * 3 + [0.25, _PANEL_HEIGHT, _PANEL_HEIGHT]
    grid = figure.add_gridspec(
        6,
        len(columns),
        height_ratios=heights,
        hspace=0.06,
        wspace=0.04,
        left=0.9 / size[0],
        right=0.995,
        top=0.94,
        bottom=0.09,
    )
    rows = {
        "real": episode.real,
        "decoded from\nits embedding": episode.embedded,
        "imagined\nfrom the start": episode.imagined,
    }
    for row, (label, pictures) in enumerate(rows.items()):
        for column, index in enumerate(columns):
            axes = figure.add_subplot(grid[row, column])
            axes.imshow(pictures[index], interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
            if row == 0:
                axes.set_title(f"{episode.times[index]:.2f} s", fontsize=8.5, color=_INK)
            if column == 0:
                axes.set_ylabel(label, fontsize=8.5, color=_INK, rotation=0, ha="right", va="center")
    upper = figure.add_subplot(grid[4, :])
    lower = figure.add_subplot(grid[5, :], sharex=upper)
    _draw(upper, episode, episode.surprise, "surprise")
    _draw(lower, episode, 100 * episode.tip_error, "tip off, cm")
    half = 0.5 * spacing * (episode.times[1] - episode.times[0])
    upper.set_xlim(-half, episode.times[columns[-1]] + half)
    upper.tick_params(labelbottom=False)
    lower.set_xlabel("time, s", fontsize=8.5, color=_INK)
    return figure


def _draw(axes: Axes, episode: ImaginedEpisode, values: NDArray[np.float64], label: str) -> None:
    imagined = slice(episode.num_seen - 1, None)
    axes.plot(episode.times[imagined], values[imagined], "o-", color=_LINE, linewidth=1.4, markersize=3)
    axes.set_ylim(bottom=0.0)
    axes.margins(y=0.15)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
    axes.set_ylabel(label, fontsize=8.5, color=_INK, rotation=0, ha="right", va="center")
    axes.grid(axis="y", color="#ececec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#888888")
    axes.tick_params(labelsize=8, color="#888888", labelcolor=_INK)
