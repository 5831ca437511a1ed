"""The report of a benchmark: every task, every agent, every training."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from agent.evaluation.benchmark import performance_profile, told_mean
from agent.evaluation.report.card import versions_table
from agent.evaluation.report.document import Fact, Figure, Report, Section, Table
from agent.evaluation.report.drawing import GREY, SERIES, draw, label_of
from agent.evaluation.report.intervals import intervals
from agent.evaluation.report.pairs import differences_table
from agent.evaluation.results import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def benchmark_report(
    benchmark: Mapping[str, Any], pairs: Sequence[Mapping[str, Any]], *, name: str, commands: Sequence[str]
) -> Report:
    """Returns the report of a benchmark.

    Args:
        benchmark: What its results.json holds.
        pairs: Of two agents with the same training on the same episodes, as `pairs.pair` returns them.
        name: Of the benchmark.
        commands: That come to the same, as they are typed.
    """
    tasks = list(dict.fromkeys(row["task"] for row in benchmark["cells"]))
    means = {agent: it for agent, it in benchmark["interquartile_mean"].items() if it is not None}
    return Report(
        title=f"{name}: a benchmark",
        summary=f"{len(tasks)} tasks, {len(benchmark['seeds'])} trainings of each; {benchmark['num_episodes']} "
        f"episodes of the {benchmark['split']} split for each training, which no other training sees.",
        facts=tuple(
            Fact(
                f"{100 * it['rate']:.1f} %",
                f"{agent}: interquartile mean",
                f"of {it['num_trainings']} trainings of {it['num_tasks']} tasks",
            )
            for agent, it in means.items()
        ),
        sections=(
            Section(
                title="Success",
                text="Success at the end with its 95 % interval over all trainings, which grows with how much these "
                "differ; and each training by itself.",
                parts=tuple(_task(task, benchmark) for task in tasks),
            ),
            Section(
                title="Over all tasks",
                text="The interquartile mean is that of the middle half of all trainings' rates (Agarwal et al. 2021).",
                figures=_profile(benchmark),
                tables=(
                    Table(
                        "Interquartile mean", ("agent", "success"), tuple((it, told_mean(means[it])) for it in means)
                    ),
                ),
            ),
            *([Section(title="Agent against agent", tables=(differences_table(pairs),))] if pairs else []),
            _published(benchmark["published"]),
            _card(benchmark, commands),
        ),
    )


def _task(task: str, benchmark: Mapping[str, Any]) -> Section:
    rows = [row for row in (*benchmark["cells"], *benchmark["baselines"]) if row["task"] == task]
    judged = {row["agent"]: row for row in rows if row["pooled"] is not None}
    refused = [
        f"{row['agent']}: {row['refused'] or 'no episode that tells anything'}." for row in rows if not row["pooled"]
    ]
    seeds = [str(seed) for seed in benchmark["seeds"]]
    return Section(
        title=task,
        text=" ".join(refused),
        figures=(
            intervals(
                f"{task}: success at the end",
                {agent: row["pooled"]["success_at_end"] for agent, row in judged.items()},
                label="success at the end, %",
                colours={row["agent"]: GREY for row in benchmark["baselines"]},
                parts={agent: _rates(row) for agent, row in judged.items()},
                caption="Small marks below: each training.",
            ),
        )
        if judged
        else (),
        tables=(
            Table(
                f"{task}: every training",
                ("agent", "at the end", "once", *(f"seed {seed}" for seed in seeds), "episodes"),
                tuple(_row(agent, row, seeds) for agent, row in judged.items()),
            ),
        ),
    )


def _rates(row: Mapping[str, Any]) -> list[float]:
    return [run["success_at_end"]["rate"] for run in row.get("seeds", {}).values()]


def _row(agent: str, row: Mapping[str, Any], seeds: Sequence[str]) -> tuple[str, ...]:
    runs = row.get("seeds", {})
    return (
        agent,
        percent(row["pooled"]["success_at_end"]),
        percent(row["pooled"]["success_once"]),
        *(percent(runs[seed]["success_at_end"]) if seed in runs else "-" for seed in seeds),
        str(row["pooled"]["success_at_end"]["n"]),
    )


def _profile(benchmark: Mapping[str, Any]) -> tuple[Figure, ...]:
    """Returns the drawing of the performance profiles, of those agents that act in any task."""
    by_agent: dict[str, list[Mapping[str, Any]]] = {}
    for row in benchmark["cells"]:
        if row["seeds"]:
            by_agent.setdefault(row["agent"], []).append(row["seeds"])
    profiles = {agent: performance_profile(tasks) for agent, tasks in by_agent.items()}
    if not profiles:
        return ()

    def plot(axes: "Axes") -> None:
        for (agent, points), (colour, style) in zip(profiles.items(), SERIES, strict=False):
            rates, shares = ([100 * it for it in side] for side in zip(*points, strict=True))
            axes.plot(
                rates, shares, linestyle=style, color=colour, label=label_of(agent), drawstyle="steps-pre", alpha=0.85
            )
        axes.set_ylim(0, 104)
        axes.set_xlabel("success at the end of at least, %")
        axes.set_ylabel("share of trainings, %")

    told = "; ".join(
        f"{agent} " + ", ".join(f"{100 * share:.0f} % reach {100 * rate:.0f} %" for rate, share in points)
        for agent, points in profiles.items()
    )
    return (draw("Performance profile", f"Share of the trainings whose success is at least a rate: {told}", plot),)


def _published(published: Sequence[str]) -> Section:
    rows = tuple((task, figure) for task, _, figure in (text.partition(": ") for text in published))
    return Section(
        title="What others report",
        text="Measured by others under their own protocols, on tasks that resemble these: no comparison."
        if rows
        else "Nothing was put beside these figures.",
        tables=(Table("Published", ("task", "figure"), rows),) if rows else (),
    )


def _card(benchmark: Mapping[str, Any], commands: Sequence[str]) -> Section:
    protocol = benchmark["protocol"]
    runs = list(
        chain.from_iterable(
            ((f"{row['task']}; {row['agent']}; seed {seed}", run) for seed, run in row["seeds"].items())
            for row in benchmark["cells"]
        )
    )
    return Section(
        title="Reproduce",
        text=f"Protocol: {protocol['name']}, described in {protocol['described_in']}.",
        tables=(
            Table(
                "Every evaluation, whose folder holds a report of its own",
                (
                    "training and agent",
                    "results",
                    "first entry",
                    "looks at the split",
                    "checkpoint, SHA-256",
                ),
                tuple(
                    (
                        name,
                        run["results"],
                        str(run["first_entry"]),
                        str(run["evaluation_looks"]),
                        run["checkpoint"]["sha256"],
                    )
                    for name, run in runs
                ),
            ),
            versions_table(benchmark["versions"]),
        ),
        commands=tuple(commands),
    )
