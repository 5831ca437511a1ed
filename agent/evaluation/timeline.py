"""The picture of what a configurator chose in one episode: mode, surprise, way to the goal, budget and goal by time."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from agent.configurator.types import HYBRID, PLANNING, REACTIVE, STILL, Choice
from agent.evaluation.pictures.files import write_figure

_INK, _LINE, _EVENT = "#222222", "#333333", "#c03028"
_COLORS = {PLANNING: "#56b4e9", HYBRID: "#009e73", REACTIVE: "#e69f00", STILL: "#999999"}  # Okabe and Ito, 2008
_WIDTH, _PANEL_HEIGHT = 7.0, 1.6  # inch


def write_timeline(
    choices: Sequence[Choice],
    path: Path,
    *,
    interventions: Sequence[Sequence[str]],
    control_dt: float,
    num_steps: int,
) -> Path:
    """Writes the picture of an episode as a PNG, whole or not at all; see `plot_timeline`."""
    figure = plot_timeline(choices, interventions=interventions, control_dt=control_dt, num_steps=num_steps)
    return write_figure(figure, path, dpi=110)


def plot_timeline(
    choices: Sequence[Choice], *, interventions: Sequence[Sequence[str]], control_dt: float, num_steps: int
) -> Figure:
    """Draws what was chosen at each model step; bands of colour are modes, red lines the ends of goals.

    Where the guardrails changed anything, a last panel has a mark for each change at a control step.

    Args:
        choices: Of one episode, at least one.
        interventions: What the guardrails changed at each control step.
        control_dt: Control period, s.
        num_steps: Control steps of the episode.
    """
    edges = [choice.step * control_dt for choice in choices] + [num_steps * control_dt]
    critic = choices[0].situation.cost_to_go is not None
    panels = [_surprise, _cost_to_go if critic else _goal_distance, _budget, _goal]
    changed = list(dict.fromkeys(chain.from_iterable(interventions)))
    heights = [1.0, 1.0, 1.0, 0.7] + [0.4 + 0.1 * len(changed)] * bool(changed)
    figure = Figure(figsize=(_WIDTH, _PANEL_HEIGHT * sum(heights)), layout="constrained", facecolor="white")
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    for axis in axes:
        _shade(axis, choices, edges)
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8, labelcolor=_INK)
        axis.yaxis.label.set(fontsize=8.5, color=_INK)
    for axis, draw in zip(axes, panels, strict=False):
        draw(axis, choices, edges)
    if changed:
        _guardrails(axes[-1], changed, interventions, control_dt)
    axes[0].set_xlim(edges[0], edges[-1])
    figure.align_ylabels()
    axes[-1].set_xlabel("time, s", fontsize=8.5, color=_INK)
    modes = [mode for mode in _COLORS if any(choice.mode == mode for choice in choices)]
    figure.legend(
        handles=[Patch(color=_COLORS[mode], alpha=0.35, label=mode) for mode in modes],
        loc="outside upper left",
        ncols=len(modes),
        fontsize=8.5,
        frameon=False,
    )
    return figure


def _shade(axes: Axes, choices: Sequence[Choice], edges: Sequence[float]) -> None:
    """Colours each model step by its mode, and marks where a goal was reached or stuck."""
    for choice, start, end in zip(choices, edges[:-1], edges[1:], strict=True):
        axes.axvspan(start, end, color=_COLORS[choice.mode], alpha=0.35, linewidth=0)
        if choice.event is not None:
            axes.axvline(start, color=_EVENT, linewidth=1.0)


def _surprise(axes: Axes, choices: Sequence[Choice], edges: Sequence[float]) -> None:
    axes.stairs([choice.situation.surprise for choice in choices], edges, baseline=None, color=_LINE, linewidth=1.4)
    for choice, start, end in zip(choices, edges[:-1], edges[1:], strict=True):
        if choice.situation.filled_sensors:
            axes.hlines(0.0, start, end, color=_EVENT, linewidth=4.0)
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("surprise\n(red: a sensor\nfilled in)")


def _cost_to_go(axes: Axes, choices: Sequence[Choice], edges: Sequence[float]) -> None:
    middle = [choice.situation.cost_to_go or 0.0 for choice in choices]
    doubt = [choice.situation.doubt or 0.0 for choice in choices]
    low = [value - std for value, std in zip(middle, doubt, strict=True)]
    high = [value + std for value, std in zip(middle, doubt, strict=True)]
    axes.stairs(high, edges, baseline=low, fill=True, color=_LINE, alpha=0.25)
    axes.stairs(middle, edges, baseline=None, color=_LINE, linewidth=1.4)
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("cost-to-go\n± doubt")


def _goal_distance(axes: Axes, choices: Sequence[Choice], edges: Sequence[float]) -> None:
    distances = [choice.situation.goal_distance**0.5 for choice in choices]
    axes.stairs(distances, edges, baseline=None, color=_LINE, linewidth=1.4)
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("distance to goal,\nrms in\nembedding space")


def _budget(axes: Axes, choices: Sequence[Choice], edges: Sequence[float]) -> None:
    axes.stairs([choice.num_evaluations for choice in choices], edges, fill=True, color=_LINE, alpha=0.6)
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("evaluations\nof the plan")


def _goal(axes: Axes, choices: Sequence[Choice], edges: Sequence[float]) -> None:
    numbers = [choice.situation.goal_index + 1 for choice in choices]
    axes.stairs(numbers, edges, baseline=None, color=_LINE, linewidth=1.4)
    axes.set_ylim(0.5, choices[0].situation.num_goals + 0.5)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4, min_n_ticks=1))
    axes.set_ylabel("goal pursued\n(red: its end)")
    for choice, start in zip(choices, edges, strict=False):
        if choice.event is not None:
            axes.annotate(
                choice.event, (start, 0.55), xytext=(2, 0), textcoords="offset points", fontsize=7.5, color=_EVENT
            )


def _guardrails(axes: Axes, names: Sequence[str], interventions: Sequence[Sequence[str]], control_dt: float) -> None:
    for row, name in enumerate(names):
        times = [step * control_dt for step, changed in enumerate(interventions) if name in changed]
        axes.plot(times, [row] * len(times), "|", color=_EVENT, markersize=4.0, clip_on=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylabel("changed by\nguardrails")
