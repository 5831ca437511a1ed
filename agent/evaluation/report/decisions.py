"""What goes on in the agent while it acts: how long it takes, what it finds, what it chooses, what is changed of it."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from agent.configurator.types import HYBRID, PLANNING, REACTIVE, STILL
from agent.evaluation.episodes import EvaluatedEpisode
from agent.evaluation.report.bars import bars
from agent.evaluation.report.document import Figure, Section
from agent.evaluation.report.drawing import BLUE, GREEN, GREY, ORANGE, SKY, VERMILLION, draw
from agent.evaluation.statistics import percentiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MODES = {PLANNING: SKY, HYBRID: GREEN, REACTIVE: ORANGE, STILL: GREY}


def decision_section(episodes: Sequence[EvaluatedEpisode], *, control_dt: float) -> Section:
    """Returns what the actor's episodes tell of it.

    Args:
        episodes: Of the actor.
        control_dt: Control period, s.
    """
    deciding = [latency for episode in episodes for latency in episode.deciding_latencies_ms]
    figures, missing = [], []
    if deciding:
        figures += [_latency(deciding, control_dt), _modes(episodes, control_dt)]
    else:
        missing.append("The actor had nothing to decide: every episode was over as it began.")
    if any(spent for episode in episodes for spent in episode.num_evaluations):
        figures.append(_evaluations(episodes, control_dt))
        if curves := [episode.convergence for episode in episodes if episode.convergence]:
            figures.append(_convergence(curves))
        else:
            missing.append("No plan gained anything after its first iteration, so there is no convergence to show.")
    else:
        missing.append("It never planned, so there is nothing to say of a planner.")
    if changed := _changed(episodes):
        figures.append(_guardrails(changed))
    else:
        missing.append("The guardrails changed nothing.")
    return Section(title="Decisions", text=" ".join(missing), figures=tuple(figures))


def _latency(deciding: Sequence[float], control_dt: float) -> Figure:
    marks = percentiles(deciding)

    def plot(axes: "Axes") -> None:
        shares = np.linspace(0.0, 100.0, 201)
        axes.plot(np.percentile(np.asarray(deciding), shares), shares, color=BLUE)
        for name, value in marks.items():
            share = float(name.removeprefix("p"))
            axes.plot([value], [share], "o", color=VERMILLION, markersize=6.0)
            axes.annotate(
                f"{name}  {value:.1f} ms", (value, share), xytext=(8, -11), textcoords="offset points", fontsize=9.0
            )
        axes.axvline(1e3 * control_dt, color=GREY, linestyle="--", linewidth=1.2)
        axes.set_xscale("log")
        axes.margins(x=0.12)
        axes.set_xlabel("time of a deciding control step, ms")
        axes.set_ylabel("share of them that take less, %")

    told = ", ".join(f"{name} {value:.1f} ms" for name, value in marks.items())
    return draw(
        "How long a decision takes",
        f"Share of the control steps at which something was decided that take less than a time: {told}",
        plot,
        caption=f"Dashed: the control period of {1e3 * control_dt:g} ms. {len(deciding)} deciding control steps.",
    )


def _modes(episodes: Sequence[EvaluatedEpisode], control_dt: float) -> Figure:
    """Between two decisions the newest holds; an episode that is over counts no more."""
    num_steps = max(len(episode.modes) for episode in episodes)
    counts = {mode: np.zeros(num_steps) for mode in _MODES}
    for episode in episodes:
        newest = None
        for step, mode in enumerate(episode.modes):
            newest = mode if mode is not None else newest
            if newest is not None:
                counts[newest][step] += 1
    total = np.maximum(sum(counts.values()), 1)
    shares = {mode: 100 * count / total for mode, count in counts.items() if count.any()}

    def plot(axes: "Axes") -> None:
        edges, below = control_dt * np.arange(num_steps + 1), np.zeros(num_steps)
        for mode, share in shares.items():
            axes.stairs(below + share, edges, baseline=below, fill=True, color=_MODES[mode], label=mode)
            below = below + share
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylim(0, 100)
        axes.set_xlabel("time, s")
        axes.set_ylabel("share of the episodes, %")

    told = ", ".join(f"{mode} {share.mean():.0f} %" for mode, share in shares.items())
    return draw("What the configurator chose", f"Share of the episodes in each mode by time, in the mean: {told}", plot)


def _evaluations(episodes: Sequence[EvaluatedEpisode], control_dt: float) -> Figure:
    """Of the episodes that decide something at a control step; where none does, nothing is drawn."""
    num_steps = max(len(episode.modes) for episode in episodes)
    spent: list[list[int]] = [[] for _ in range(num_steps)]
    for episode in episodes:
        for step, (mode, number) in enumerate(zip(episode.modes, episode.num_evaluations, strict=True)):
            if mode is not None:
                spent[step].append(number)
    steps = [step for step, numbers in enumerate(spent) if numbers]
    means = [float(np.mean(spent[step])) for step in steps]

    def plot(axes: "Axes") -> None:
        axes.plot(control_dt * np.array(steps), means, color=BLUE, drawstyle="steps-post")
        axes.set_ylim(bottom=0.0, top=1.1 * max(means))
        axes.set_xlabel("time, s")
        axes.set_ylabel("evaluations of a decision, mean")

    return draw(
        "What it spent on its plans",
        f"Mean number of evaluations of a decision by time, from {min(means):.0f} to {max(means):.0f}",
        plot,
    )


def _convergence(curves: Sequence[Sequence[float]]) -> Figure:
    """A plan that ended early had found all."""
    longest = max(map(len, curves))
    shares = 100 * np.array([[*curve, *[0.0] * (longest - len(curve))] for curve in curves]).mean(axis=0)

    def plot(axes: "Axes") -> None:
        from matplotlib.ticker import MaxNLocator

        axes.plot(np.arange(1, longest + 1), shares, color=BLUE, marker="o" if longest <= 20 else None)
        axes.set_ylim(bottom=0.0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("iteration of the planner")
        axes.set_ylabel("gain still to find, %")

    return draw(
        "How plans converge",
        "Share of a plan's gain over its first iteration that is still to find after each iteration: "
        + ", ".join(f"{share:.0f} %" for share in shares),
        plot,
        caption="Mean over the plans that gained anything. What is still steep at its end asks for more iterations.",
    )


def _changed(episodes: Sequence[EvaluatedEpisode]) -> dict[str, float]:
    """Returns name of a limit to the share of control steps at which it changed the action, %, the most often first."""
    num_steps = sum(len(episode.limits) for episode in episodes)
    names = dict.fromkeys(chain.from_iterable(chain.from_iterable(episode.limits for episode in episodes)))
    counts = {name: sum(episode.interventions.get(name, 0) for episode in episodes) for name in names}
    return {name: 100 * counts[name] / num_steps for name in sorted(counts, key=lambda it: -counts[it])}


def _guardrails(changed: Mapping[str, float]) -> Figure:
    return bars(
        "What the guardrails changed",
        changed,
        [VERMILLION] * len(changed),
        label="share of the control steps, %",
        unit=" %",
    )
