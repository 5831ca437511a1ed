"""How the distance to the goal falls over an episode."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agent.evaluation.episodes import EvaluatedEpisode, judged
from agent.evaluation.report.document import Figure
from agent.evaluation.report.drawing import AGENTS, draw, label_of
from agent.evaluation.results import SHOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BESIDE = ("oracle", "expert", "random")


def way_figures(episodes: Mapping[str, Sequence[EvaluatedEpisode]], *, control_dt: float) -> tuple[Figure, ...]:
    """Returns a drawing of each distance: median and quartiles of the actor, medians of whom it is compared with.

    Args:
        episodes: Agent's name to its episodes; those that were solved from the start are left out.
        control_dt: Control period, s.
    """
    counting = {name: judged(run) for name, run in episodes.items() if name in ("actor", *_BESIDE)}
    counting = {name: run for name, run in counting.items() if run}
    if "actor" not in counting:
        return ()
    return tuple(_way(name, unit, counting, control_dt) for name, unit in counting["actor"][0].units.items())


def _way(name: str, unit: str, episodes: Mapping[str, Sequence[EvaluatedEpisode]], control_dt: float) -> Figure:
    factor, shown = SHOWN.get(unit, (1.0, f" {unit}".rstrip()))
    paths = {agent: factor * held([it.distances[name] for it in run]) for agent, run in episodes.items()}
    medians = {agent: np.median(path, axis=0) for agent, path in paths.items()}

    def plot(axes: "Axes") -> None:
        for agent in ("actor", *(it for it in _BESIDE if it in paths)):
            colour, style = AGENTS[agent]
            times = control_dt * np.arange(paths[agent].shape[1])
            axes.plot(times, medians[agent], linestyle=style, color=colour, label=agent)
            if agent == "actor":
                low, high = np.quantile(paths[agent], [0.25, 0.75], axis=0)
                axes.fill_between(times, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.set_xlabel("time, s")
        axes.set_ylabel(f"{label_of(name)}, {shown.strip() or 'distance'}")
        axes.set_ylim(bottom=0.0)
        axes.margins(x=0.01)

    ends = ", ".join(f"{agent} from {it[0]:.3g} to {it[-1]:.3g}{shown}" for agent, it in medians.items())
    return draw(
        f"Distance to the goal: {name.replace('_', ' ')}",
        f"Median over the episodes, by time: {ends}",
        plot,
        caption="Median of each; the band holds the middle half of the actor's episodes.",
    )


def held(paths: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Returns paths of several lengths as rows of one length: what is over stays as it ended.

    Returns:
        `[num_paths, num_steps + 1]`.
    """
    longest = max(map(len, paths))
    return np.array([[*path, *[path[-1]] * (longest - len(path))] for path in paths], dtype=np.float64)
