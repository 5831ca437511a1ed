"""How well a small run acts, and what is known of an agent: it repeats itself, and perceives what there is."""

from dataclasses import asdict
from functools import partial
from itertools import pairwise

import numpy as np

from agent.evaluation.episodes import evaluate_episode
from agent.evaluation.seeds import episode_seeds
from benchmarks.canary.check import Check
from benchmarks.canary.environment import make_task
from benchmarks.canary.small_run import SmallRun

NUM_AGAIN = 3
"""Evaluated episodes that are run once more."""


def checks(run: SmallRun) -> list[Check]:
    """Returns how well an agent has to act, and what is known of how it does."""
    # Measured under seeds 0 to 2: 1, 0, 0.912 (all of 40; 38 keep the bound), 0, 0, 0.25, and 0.007 to 0.011.
    return [
        Check("success of the expert", partial(run.success, "expert", "rate"), least=1, most=1),
        Check("success of random actions", partial(run.success, "random", "rate"), most=0.05),
        Check("success of the agent, lower bound", partial(run.success, "actor", "low"), least=0.8),
        Check("records that another process does not repeat", partial(changed_records, run), most=0),
        Check("an episode after another one differs from the first", partial(remembered, run), most=0),
        Check("another seed plans other actions", partial(difference_by_seed, run), least=1e-6),
        Check("closed-loop surprise over that of foreseeing no change", partial(surprise, run), most=0.05),
    ]


def changed_records(run: SmallRun) -> int:
    """Returns how many episodes of the evaluation come out otherwise, alone and in this process."""
    task, recorded = make_task("reach"), run.run.results["agents"]["actor"]["episodes"]
    changed = 0
    for seed, there in zip(episode_seeds("validation", NUM_AGAIN), recorded, strict=False):
        here = asdict(evaluate_episode(task, run.actor, seed=seed, num_steps=task.spec.num_steps).record)
        changed += any(here[key] != there[key] for key in here.keys() & there.keys())
    return changed


def remembered(run: SmallRun) -> float:
    """Returns by how much an episode differs at most, where the agent has acted in others before."""
    actor = run.actor
    episodes = [run.act(actor, entry) for entry in (0, 1, 0)]
    return float(np.abs(episodes[0].actions - episodes[2].actions).max())


def difference_by_seed(run: SmallRun) -> float:
    """Returns by how much the first actions towards a goal differ at most, under two seeds of the agent."""
    frame, actor, actions = make_task("reach").reset(0), run.actor, []
    for seed in (0, 1):
        actor.reset(frame.goal, seed=seed)
        actions.append(actor.act(frame.readings))
    return float(np.abs(actions[0] - actions[1]).max())


def surprise(run: SmallRun) -> float:
    """Returns the squared error of what the agent foresees, as a share of that of foreseeing no change."""
    actor = run.actor
    run.act(actor, 0)
    moments = actor.state.memory.moments
    motions = [float((b.embedding - a.embedding).square().mean()) for a, b in pairwise(moments)]
    return sum(moment.surprise for moment in moments) / sum(motions)
