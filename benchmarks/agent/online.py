"""What critics that learn online gain or lose: `python -m benchmarks.agent.online run=runs/demo num_episodes=50`.

An agent acts in the first episodes of the validation split and learns from each. Then the critics that it began with
and those that it has come to act, both frozen, in the same later episodes of that split. Other keys are those of
`jepa-mpc evaluate`.
"""

import sys
from collections.abc import Sequence
from time import perf_counter

import torch

from agent.actor import Actor
from agent.evaluation.episodes import evaluate_episode
from agent.evaluation.results import percent
from agent.evaluation.seeds import episode_seeds
from agent.evaluation.statistics import paired_difference, success_rate
from agent.run.config.composing import Config, compose_config
from agent.run.stages.finished_run import compose_on_run, load_modules_for
from agent.run.stages.loading import build_actor, recorded_experience
from agent.run.stages.vision import configured_task
from benchmarks.arguments import call
from benchmarks.tables import table
from envs.types import Task

FIRST_FROZEN, NUM_FROZEN = 100, 100
"""Entries of the split in which the frozen critics act."""


def run_episodes(task: Task, actor: Actor, seeds: Sequence[int]) -> list[bool]:
    """Returns in which episodes the actor has success at the end."""
    num_steps = task.spec.num_steps
    return [evaluate_episode(task, actor, seed=seed, num_steps=num_steps).record.success_at_end for seed in seeds]


def with_learning(config: Config, *, learn_online: bool) -> Config:
    """Returns the same config with or without learning online."""
    return compose_config([f"actor.learn_online={str(learn_online).lower()}"], base=config.plain())


def main() -> None:
    torch.set_num_threads(1)
    overrides = ["num_episodes=50", *sys.argv[1:]]
    config, run = compose_on_run(overrides, command="benchmarks.agent.online", section="evaluate")
    learning, frozen = (with_learning(config, learn_online=it) for it in (True, False))
    num_episodes = config.values.evaluate.num_episodes
    if num_episodes > FIRST_FROZEN:
        sys.exit(f"num_episodes must be at most {FIRST_FROZEN}, where the episodes begin that are compared")
    task = configured_task(config)
    seeds = episode_seeds("validation", FIRST_FROZEN + NUM_FROZEN)
    modules = load_modules_for(task, learning, run)

    start = perf_counter()
    before = run_episodes(task, build_actor(frozen, modules), seeds[FIRST_FROZEN:])
    print(f"frozen: {(perf_counter() - start) / NUM_FROZEN:.2f} s an episode", flush=True)

    actor = build_actor(learning, modules, recorded=recorded_experience(learning, modules, run))
    start = perf_counter()
    on_the_way = run_episodes(task, actor, seeds[:num_episodes])
    actor.reset(task.reset(seeds[0]).goal, seed=0)  # learns from the last episode too
    print(f"learning: {(perf_counter() - start) / num_episodes:.2f} s an episode", flush=True)

    after = run_episodes(task, build_actor(frozen, modules), seeds[FIRST_FROZEN:])
    gain = paired_difference(after, before)
    rows = [
        [name, percent(vars(success_rate(successes))), str(len(successes))]
        for name, successes in (
            ("as trained", before),
            (f"while learning from {num_episodes} episodes", on_the_way),
            ("after them", after),
        )
    ]
    print(table(["critics", "success at the end", "episodes"], rows))
    points = [f"{100 * it:+.1f}" for it in (gain.difference, gain.low, gain.high)]
    print(f"after - before: {points[0]} points ({points[1]} to {points[2]}), the same episodes")


if __name__ == "__main__":
    call(main)
