"""One evaluated episode: a policy, an environment and a seed give a record."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.actor import Actor
from agent.configurator.types import Choice
from agent.evaluation.scenarios.types import Scenario
from envs.episodes.rollout import rollout
from envs.types import HasMeasures, Policy, Task

NUM_END_STEPS = 5
"""Success at the end is success in each of so many last control steps."""


@dataclass(frozen=True)
class EpisodeRecord:
    """What an episode came to.

    Attributes:
        seed: Of the episode.
        success_once: The goal was reached in any step.
        success_at_end: See `succeeds_at_end`.
        steps_to_success: Control steps to the first success, or None.
        final_distances: What is left to the goal after the last step: name to value, in the unit that
            `EvaluatedEpisode.units` says.
        num_steps: Control steps that it took.
        terminated: The environment ended it before its time, in success or in failure.
        solved_at_start: The goal was reached before anything was done: such an episode tells nothing, and counts in no
            rate.
        measures: What else the task has to report of it, see `HasMeasures`; nothing of a task that has nothing.
    """

    seed: int
    success_once: bool
    success_at_end: bool
    steps_to_success: int | None
    final_distances: Mapping[str, float]
    num_steps: int
    terminated: bool
    solved_at_start: bool
    measures: Mapping[str, float]


@dataclass(frozen=True)
class EvaluatedEpisode:
    """A record and what was measured beside it.

    Attributes:
        record: A pure function of the policy and the seed.
        units: Name of a distance to its unit, as "m" or "rad".
        redrawn: Starts that were drawn anew because they were solved already.
        latencies_ms: Time of each control step, ms; the one thing that differs from run to run.
        num_evaluations: Spent on the plan that was made at each control step; 0 where none was made.
        modes: What an actor decided at each control step: to plan, to react, both, or to hold still; None where it
            decided nothing.
        limits: What an actor's guardrails changed at each control step; see `GuardedAction`.
        distances: Name to what was left to the goal before the first control step and after each, in its unit, to five
            digits.
        convergence: What of its gain over its first iteration a plan had still to find after each iteration, from 1 to
            0, mean of the plans that gained anything; empty where none did.
    """

    record: EpisodeRecord
    units: Mapping[str, str]
    redrawn: int
    latencies_ms: tuple[float, ...]
    num_evaluations: tuple[int, ...]
    modes: tuple[str | None, ...]
    limits: tuple[tuple[str, ...], ...]
    distances: Mapping[str, tuple[float, ...]]
    convergence: tuple[float, ...]

    @property
    def interventions(self) -> dict[str, int]:
        """What an actor's guardrails changed, to the number of control steps at which they did."""
        return dict(Counter(chain.from_iterable(self.limits)))

    @property
    def deciding_latencies_ms(self) -> list[float]:
        """Time of each control step at which something was decided, by planning or by reacting, ms."""
        return [latency for latency, mode in zip(self.latencies_ms, self.modes, strict=True) if mode is not None]

    @property
    def planning_latencies_ms(self) -> list[float]:
        """Time of each control step at which a plan was made, ms."""
        return [latency for latency, spent in zip(self.latencies_ms, self.num_evaluations, strict=True) if spent]


def succeeds_at_end(successes: NDArray[np.bool_], *, terminated: bool) -> bool:
    """Returns whether an episode is a success at its end: in each of the last `NUM_END_STEPS` control steps.

    An episode that the environment terminated stays as it ended: its last step decides, and stands for all that would
    have followed. One that was shorter for any other reason is judged by the steps that it had; where it had none,
    nothing was brought about.

    Args:
        successes: `[num_steps]`, after each control step.
        terminated: The environment ended it, and not the clock.
    """
    return len(successes) > 0 and bool(successes[-1 if terminated else -NUM_END_STEPS :].all())


def judged(episodes: Sequence[EvaluatedEpisode]) -> list[EvaluatedEpisode]:
    """Returns the episodes that tell something: those that were not solved before anything was done."""
    return [episode for episode in episodes if not episode.record.solved_at_start]


class WatchedPolicy:
    """A policy whose steps are timed and whose decisions are kept, all of an episode.

    Args:
        policy: Who acts.
        actor: Whose decisions are kept, or None: the same agent, without what a scenario puts around it.

    Attributes:
        latencies_ms: Time of each control step, ms.
        choices: What was decided at each control step, or None where nothing was.
        interventions: What the guardrails changed at each control step.
        cost_histories: Of each plan, `[num_iterations]`, the best cost so far.
    """

    def __init__(self, policy: Policy, *, actor: Actor | None) -> None:
        self._policy = policy
        self._actor = actor
        self.latencies_ms: list[float] = []
        self.choices: list[Choice | None] = []
        self.interventions: list[tuple[str, ...]] = []
        self.cost_histories: list[NDArray[np.float64]] = []

    def reset(self, goal: Mapping[str, NDArray[Any]], *, seed: int) -> None:
        """Starts an episode."""
        self._policy.reset(goal, seed=seed)

    def act(self, observation: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Returns the policy's action."""
        start = perf_counter()
        action = self._policy.act(observation)
        self.latencies_ms.append(1e3 * (perf_counter() - start))
        state = None if self._actor is None else self._actor.state
        newest = None if state is None else state.choices[-1]
        self.choices.append(newest if newest is not None and newest.step == len(self.choices) else None)
        self.interventions.append(() if state is None or state.guarded is None else state.guarded.interventions)
        made = self.choices[-1]
        if made is not None and made.num_evaluations and state is not None and state.plan is not None:
            self.cost_histories.append(state.plan.cost_history[:, 0].double().numpy())
        return action


def convergence(cost_histories: Sequence[NDArray[np.float64]]) -> list[float]:
    """Returns what of its gain a plan has still to find after each iteration, mean of those that gained anything.

    Args:
        cost_histories: Of each plan, `[num_iterations]`, the best cost so far. One that ended early had found all.
    """
    gains = [it - it[-1] for it in cost_histories if np.isfinite(it).all() and it[0] > it[-1]]
    shares = np.zeros((len(gains), max(map(len, gains), default=0)))
    for share, gain in zip(shares, gains, strict=True):
        share[: len(gain)] = gain / gain[0]
    return shares.mean(axis=0).tolist() if gains else []


def evaluate_episode(
    task: Task, policy: Policy, *, seed: int, num_steps: int, scenario: Scenario | None = None
) -> EvaluatedEpisode:
    """Runs one episode to its end, whatever happens on the way, and says what it came to.

    Args:
        task: Where.
        policy: Who acts.
        seed: Of the episode.
        num_steps: Its control steps, unless the task ends it before.
        scenario: What happens beside the agent's own doing; None for nothing.
    """
    staged_task, staged_policy = task, policy
    if scenario is not None:
        staged_task, staged_policy = scenario.stage(task, policy, seed=seed)
    watched = WatchedPolicy(staged_policy, actor=policy if isinstance(policy, Actor) else None)
    episode = rollout(staged_task, watched, seed=seed, num_steps=num_steps)
    distances, terminated = episode.verdicts[-1].distances, episode.verdicts[-1].terminated
    successes = episode.is_success[1:]
    record = EpisodeRecord(
        seed=seed,
        success_once=bool(successes.any()),
        success_at_end=succeeds_at_end(successes, terminated=terminated),
        steps_to_success=int(successes.argmax()) + 1 if successes.any() else None,
        final_distances={name: value for name, (value, _) in distances.items()},
        num_steps=len(successes),
        terminated=terminated,
        solved_at_start=bool(episode.is_success[0]),
        measures=task.measures(episode.observations) if isinstance(task, HasMeasures) else {},
    )
    return EvaluatedEpisode(
        record=record,
        units={name: unit for name, (_, unit) in distances.items()},
        redrawn=episode.num_redrawn,
        latencies_ms=tuple(watched.latencies_ms),
        num_evaluations=tuple(0 if choice is None else choice.num_evaluations for choice in watched.choices),
        modes=tuple(None if choice is None else choice.mode for choice in watched.choices),
        limits=tuple(watched.interventions),
        distances={name: tuple(float(f"{it.distances[name][0]:.5g}") for it in episode.verdicts) for name in distances},
        convergence=tuple(convergence(watched.cost_histories)),
    )
