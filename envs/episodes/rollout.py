"""A policy in a task: one seed, one episode."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.episodes.episode import Episode
from envs.spec import Actions
from envs.types import Policy, Task


def policy_seed(seed: int) -> int:
    """Returns the policy's own seed in the episode of that seed: policy and task draw independent numbers."""
    return int(np.random.SeedSequence(seed, spawn_key=(0,)).generate_state(1, np.uint64)[0])


def rollout(task: Task, policy: Policy, *, seed: int, num_steps: int) -> Episode:
    """Runs one episode, until the task ends it, and at most `num_steps`.

    Raises:
        ValueError: The policy returned something else than an action of the task.
    """
    actions_of_task = task.spec.actions
    frame = task.reset(seed)
    num_redrawn = frame.num_redrawn
    policy.reset(frame.goal, seed=policy_seed(seed))
    observations = {name: np.empty((num_steps + 1, *it.shape), it.dtype) for name, it in frame.readings.items()}
    actions = np.empty((num_steps, actions_of_task.action_dim), np.float32)
    verdicts = []
    for time in range(num_steps + 1):
        for name, value in frame.readings.items():
            observations[name][time] = value
        verdict = frame.verdict
        verdicts.append(verdict)
        if time == num_steps or verdict.terminated or verdict.truncated:
            break
        actions[time] = _checked(policy.act(frame.readings), actions_of_task)
        frame = task.step(actions[time].copy())
    return Episode(
        observations={name: readings[: time + 1] for name, readings in observations.items()},
        actions=actions[:time],
        seed=seed,
        verdicts=tuple(verdicts),
        num_redrawn=num_redrawn,
    )


def _checked(action: NDArray[Any], actions: Actions) -> NDArray[Any]:
    if not actions.admits(action):
        raise ValueError(f"the policy returned the action {action!r}, expected {actions}")
    return action
