"""The failed episodes of an evaluation once more, with one part of the agent exchanged at a time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from agent.evaluation.diagnosis import BUDGET_FACTOR, EXCHANGES, LARGER, make_diagnosis
from agent.evaluation.episodes import EvaluatedEpisode, judged
from agent.evaluation.evaluate import EpisodeTask
from agent.evaluation.outcomes import outcome
from agent.run.config.composing import Config, compose_config

_SPENT_ON = ("num_samples", "beam_width", "num_restarts")
"""Keys of planners that say how many candidates there are."""

Evaluator = Callable[[Sequence[EpisodeTask]], Iterable[tuple[EpisodeTask, EvaluatedEpisode]]]
"""Runs episodes, or reads those that were run."""


def diagnose(episodes: Sequence[EvaluatedEpisode], most: int, *, evaluate: Evaluator) -> dict[str, Any]:
    """Replays the first failed episodes of an actor, so many at most; see `make_diagnosis`."""
    failed = [episode for episode in judged(episodes) if not episode.record.success_at_end]
    replayed = {episode.record.seed: outcome(episode) for episode in failed[:most]}
    successes: dict[int, dict[str, bool]] = {seed: {} for seed in replayed}
    tasks = [EpisodeTask(agent, seed) for seed in replayed for agent in EXCHANGES]
    for task, episode in evaluate(tasks):
        successes[task.seed][task.agent] = episode.record.success_at_end
    replays = [{"seed": seed, "outcome": it, "successes": successes[seed]} for seed, it in replayed.items()]
    return make_diagnosis(replays, num_failed=len(failed))


def exchanged(name: str, config: Config) -> tuple[str, Config]:
    """Returns the agent that a name means, without its budget, and the config that this budget asks for.

    Args:
        name: Of an agent, one of `EXCHANGES` among them.
        config: Of the evaluation.
    """
    if not name.endswith(LARGER):
        return name, config
    return name.removesuffix(LARGER), compose_config(_larger_budget(config), base=config.plain())


def _larger_budget(config: Config) -> Mapping[str, Any]:
    """Returns the changes that let a planner spend more, by more candidates."""
    values = config.plain()["values"]
    rules = [_with_larger_budget(rule) for rule in values["configurator"].get("rules", [])]
    limits = {f"configurator.{key}": values["configurator"][key] for key in ("num_evaluations", "milliseconds")}
    planner = values["planner"]
    counts = {f"planner.{key}": planner[key] for key in _SPENT_ON if key in planner}
    if "search" in planner:
        counts["planner.search.num_samples"] = planner["search"]["num_samples"]
    larger: dict[str, Any] = {key: it * BUDGET_FACTOR for key, it in {**limits, **counts}.items() if it is not None}
    return larger | ({"configurator.rules": rules} if rules else {})


def _with_larger_budget(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a rule of a configurator that grants more evaluations, where it says how many."""
    then = {key: it * BUDGET_FACTOR if key == "num_evaluations" else it for key, it in rule["then"].items()}
    return {**rule, "then": then}
