"""The report of an evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.evaluation.episodes import EvaluatedEpisode, judged
from agent.evaluation.report.decisions import decision_section
from agent.evaluation.report.diagnosis import diagnosis_section
from agent.evaluation.report.document import Fact, Report, Section
from agent.evaluation.report.outcomes import outcome_section
from agent.evaluation.report.success import success_section
from agent.evaluation.report.ways import way_figures
from agent.evaluation.results import told


def evaluation_report(
    results: Mapping[str, Any],
    episodes: Mapping[str, Sequence[EvaluatedEpisode]],
    *,
    name: str,
    control_dt: float,
    films: Mapping[int, Path],
    further: Sequence[Section],
) -> Report:
    """Returns the report of an evaluation.

    Args:
        results: What results.json holds.
        episodes: Agent's name to its episodes.
        name: Of the run.
        control_dt: Control period, s.
        films: Seed of an actor's episode to its film.
        further: Sections behind those of the evaluation.
    """
    actor = episodes["actor"]
    ways = way_figures(episodes, control_dt=control_dt)
    return Report(
        title=f"{name}: {results['env']} from {results['observation']}",
        summary=_summary(results),
        facts=_facts(results, actor),
        sections=(
            success_section(results),
            *([Section(title="On the way", figures=ways)] if ways else []),
            outcome_section(actor, films),
            *([diagnosis_section(results["diagnosis"])] if "diagnosis" in results else []),
            decision_section(actor, control_dt=control_dt),
            *further,
        ),
    )


def _summary(results: Mapping[str, Any]) -> str:
    planned = results["planning_latency_ms"] is not None
    said = [
        f"How an agent that {'plans with ' + results['planner'] if planned else 'reacts'} does in "
        f"{len(results['agents']['actor']['episodes'])} episodes of the {results['split']} split"
        + (f", scenario {results['scenario']}" if results["scenario"] != "undisturbed" else "")
        + f"; trained with seed {results['seed']}."
    ]
    said += [f"Note: {results['note']}."] if results["note"] is not None else []
    return " ".join(said)


def _facts(results: Mapping[str, Any], actor: Sequence[EvaluatedEpisode]) -> tuple[Fact, ...]:
    rate = results["agents"]["actor"]["success_at_end"]
    facts = [
        Fact(
            f"{100 * rate['rate']:.1f} %",
            "success at the end",
            f"95 % interval {100 * rate['low']:.1f} to {100 * rate['high']:.1f}; {rate['n']} episodes",
        )
    ]
    for other in ("random", "expert"):
        if other in results["agents"]:
            other_rate = results["agents"][other]["success_at_end"]["rate"]
            facts.append(Fact(f"{100 * other_rate:.1f} %", other, "success at the end"))
    records = [episode.record for episode in judged(actor)]
    for name, unit in results["units"].items() if records else ():
        left = told([record.final_distances[name] for record in records], unit)
        facts.append(Fact(left, f"left of {name.replace('_', ' ')} at the end", "median"))
    if (latency := results["latency_ms"]) is not None:
        facts.append(Fact(f"{latency['p50']:.1f} ms", "a decision takes", f"median; p99 {latency['p99']:.1f} ms"))
    return tuple(facts)
