"""How far the agent thinks the goal is, from everywhere: embedding distance, and cost-to-go where a critic knows it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from agent.cost.types import Critic
from agent.evaluation.pictures.files import write_figure
from agent.goal import goal_distance, make_goal
from envs.spec import TaskSpec
from envs.types import HasGoals, Readings
from world_model.types import LatentGoal, WorldModel, is_image

SPACING = 0.0125
"""Between two places of a map, m."""

_INK = "#222222"
_CHUNK = 128


@dataclass(frozen=True)
class DistanceMap:
    """A slice through the places where the task's goals lie, at the height of one of them.

    Attributes:
        sensor: That should read the goal's place.
        x: `[num_x]`, m.
        y: `[num_y]`, m.
        goal: What that sensor should read; its first two numbers are its place in the slice, m.
        picture: What the agent is shown of the goal, `[height, width, 3]`, or None where that is no picture.
        distance: `[num_x, num_y]`, root of the mean squared distance to the goal, in embedding space.
        cost_to_go: `[num_x, num_y]`, mean of the critic's ensemble, see `Critic`; None without one.
    """

    sensor: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    goal: NDArray[np.float32]
    picture: NDArray[np.uint8] | None
    distance: NDArray[np.float64]
    cost_to_go: NDArray[np.float64] | None

    def rank_correlation(self, values: NDArray[np.float64]) -> float:
        """Returns Spearman's correlation of what a map says, `[num_x, num_y]`, with the true distance."""
        true = np.hypot(*np.meshgrid(self.x - self.goal[0], self.y - self.goal[1], indexing="ij"))
        return float(spearmanr(values.ravel(), true.ravel()).statistic)


@torch.no_grad()
def map_distances(
    task: HasGoals, spec: TaskSpec, world_model: WorldModel, critic: Critic | None, *, wish: Readings
) -> DistanceMap:
    """Measures how far a goal seems to be from states in which goals at other places are reached.

    Args:
        task: It is left as it was.
        spec: Of the task.
        world_model: Embeds what the sensors read.
        critic: Says how far the goal is, or None.
        wish: A goal in numbers; its first sensor reads a place.
    """
    shown = task.told(wish)
    latent_goal = world_model.encode_goal(make_goal(shown, spec, sensors=world_model.blocks))
    sensor = next(iter(wish))
    box = spec.goal[sensor]
    x, y = (_places(low, high) for low, high in zip(box.low[:2], box.high[:2], strict=True))
    places = np.tile(wish[sensor], (len(x), len(y), 1))
    places[..., 0], places[..., 1] = np.meshgrid(x, y, indexing="ij")
    embeddings = _embed(task, world_model, [{**wish, sensor: place} for place in places.reshape(-1, places.shape[-1])])
    everywhere = LatentGoal(
        embedding=latent_goal.embedding.expand(len(embeddings), -1), mask=latent_goal.mask.expand(len(embeddings), -1)
    )
    opinions = None if critic is None else critic(embeddings[None], latent_goal).mean(dim=0)[0].double()
    return DistanceMap(
        sensor=sensor,
        x=x,
        y=y,
        goal=wish[sensor],
        picture=next((np.asarray(it) for it in shown.values() if is_image(np.shape(it))), None),
        distance=goal_distance(embeddings, everywhere).sqrt().double().view(len(x), len(y)).numpy(),
        cost_to_go=None if opinions is None else opinions.view(len(x), len(y)).numpy(),
    )


def write_distance_maps(maps: Sequence[DistanceMap], path: Path) -> Path:
    """Writes the picture of maps as a PNG, whole or not at all; see `plot_distance_maps`."""
    return write_figure(plot_distance_maps(maps), path, dpi=130)


def plot_distance_maps(maps: Sequence[DistanceMap]) -> Figure:
    """Draws maps of the same kind below each other, each beside what the agent is shown of the goal.

    Brighter is nearer; lines join places at the same distance. The cross is the goal, and rank correlation is
    Spearman's, of what the map says with the true distance.
    """
    widths = [0.6] * (maps[0].picture is not None) + [1.0] * (1 + (maps[0].cost_to_go is not None))
    figure = Figure(figsize=(4.1 * sum(widths), 2.5 * len(maps)), layout="compressed", facecolor="white")
    axes = figure.subplots(len(maps), len(widths), squeeze=False, width_ratios=widths)
    for row, shown in zip(axes, maps, strict=True):
        columns = list(row)
        if shown.picture is not None:
            _show_goal(columns.pop(0), shown.picture)
        _show(columns.pop(0), shown, shown.distance, "distance in embedding\nspace, rms")
        if shown.cost_to_go is not None:
            _show(columns.pop(0), shown, shown.cost_to_go, "cost-to-go by the\ncritic")
    return figure


def _places(low: float, high: float) -> NDArray[np.float64]:
    return np.linspace(low, high, 1 + round((high - low) / SPACING))


def _embed(task: HasGoals, world_model: WorldModel, wishes: Sequence[Readings]) -> Tensor:
    """Embeds what would be sensed with each of the goals reached: `[num_wishes, embed_dim]`."""
    chunks = []
    for start in range(0, len(wishes), _CHUNK):
        readings = [task.readings_at(wish) for wish in wishes[start : start + _CHUNK]]
        frames = {
            name: torch.from_numpy(np.stack([reading[name] for reading in readings]))[None]
            for name in world_model.blocks
        }
        chunks.append(world_model.encode(frames)[0])
    return torch.cat(chunks)


def _show_goal(axes: Axes, picture: NDArray[np.uint8]) -> None:
    axes.imshow(picture, interpolation="nearest")
    axes.set_title("the agent's goal", loc="left", fontsize=8.5, color=_INK)
    axes.set_axis_off()


def _show(axes: Axes, shown: DistanceMap, values: NDArray[np.float64], label: str) -> None:
    """Draws one map, y to the left and x upwards: as from behind the robot, which stands below the picture."""
    correlation = shown.rank_correlation(values)
    mesh = axes.pcolormesh(100 * shown.y, 100 * shown.x, values, cmap="viridis_r", shading="nearest", rasterized=True)
    axes.contour(100 * shown.y, 100 * shown.x, values, levels=8, colors="white", linewidths=0.6, alpha=0.7)
    axes.plot(100 * shown.goal[1], 100 * shown.goal[0], "+", color="white", markersize=15, markeredgewidth=4)
    axes.plot(100 * shown.goal[1], 100 * shown.goal[0], "+", color="#d55e00", markersize=13, markeredgewidth=2)
    axes.set_aspect("equal")
    axes.invert_xaxis()
    axes.set_title(f"rank correlation with true distance {correlation:.2f}", loc="left", fontsize=8.5, color=_INK)
    what = shown.sensor.replace("_", " ")
    axes.set_xlabel(f"{what}: y, cm", fontsize=8.5, color=_INK)
    axes.set_ylabel(f"{what}: x, cm", fontsize=8.5, color=_INK)
    axes.tick_params(labelsize=8, color="#888888", labelcolor=_INK)
    axes.spines[:].set_visible(False)
    assert axes.figure is not None
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.02)
    bar.set_label(label, fontsize=8.5, color=_INK)
    bar.ax.tick_params(labelsize=8, color="#888888", labelcolor=_INK)
    bar.outline.set_visible(False)
