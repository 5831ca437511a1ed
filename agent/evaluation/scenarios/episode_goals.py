"""Goals from episodes: what an exploring robot reached some control steps later, from where it was then.

That is how goals are drawn in the field: from recorded episodes that nothing was learned from, a fixed number of steps
ahead (LeWM 2026; DINO-WM, Zhou et al. 2025). How far that is to push, chance decides.
"""

from typing import Any

import numpy as np
from numpy.random import Generator

from agent.evaluation.scenarios.types import ScenarioError, ScenarioMaker, StagedTask
from envs.episodes.collection import PolicyFactory
from envs.episodes.rollout import policy_seed
from envs.spec import TaskSpec
from envs.types import Frame, Policy, PutAnywhere, Readings, Task
from jepa_mpc.ranges import check_count

LONGEST_PRELUDE = 25
"""Control steps that the robot explores for at most before the moment from which the agent acts."""

_SEEDS = (2**32, 2**62)
"""Of explored episodes: no collection and no manifest has any of these."""

MAX_DRAWS = 200
"""Episodes that are explored for one goal."""


class EpisodeGoals:
    """Replaces the task's own starts and goals by moments of exploration, within another scenario.

    Args:
        spec: Of the task.
        within: Makes what else happens.
        explore: Makes the policy that explores.
        offset: Control steps from the moment of the start to that of the goal.
    """

    def __init__(self, spec: TaskSpec, *, within: ScenarioMaker, explore: PolicyFactory, offset: int) -> None:
        check_count("evaluate.offset", offset, least=1)
        self._within = within(spec)
        self._explore, self._offset = explore, offset
        self.num_steps, self.latency = self._within.num_steps, self._within.latency
        goals = f"goals are what exploration came to {offset} control steps later, from where it was"
        self.note: str | None = "; ".join(filter(None, [self._within.note, goals]))

    def stage(self, task: Task, policy: Policy, *, seed: int) -> tuple[Task, Policy]:
        """Returns a task with such a start and goal, in which the other scenario takes place."""
        if not isinstance(task, PutAnywhere):
            raise ScenarioError(
                f"goals=episodes needs a task that can be put to where an episode was, and {task.spec.task_id} cannot: "
                "choose goals=task"
            )
        explorer = self._explore(task.spec)
        return self._within.stage(_EpisodeGoalTask(task, task, explorer, self._offset), policy, seed=seed)


class _EpisodeGoalTask(StagedTask):
    """Explores at the reset, and is put back to a moment before the goal was reached."""

    def __init__(self, task: Task, place: PutAnywhere, explorer: Policy, offset: int) -> None:
        super().__init__(task)
        self._place, self._explorer, self._offset = place, explorer, offset

    def reset(self, seed: int) -> Frame:
        """Starts the first explored episode whose goal may be one and is not reached at the start."""
        generator, num_redrawn = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,))), 0
        for _ in range(MAX_DRAWS):
            state, later = self._explored(generator)
            frame = self._place.put(state, later)
            if frame is None:
                continue
            if not frame.verdict.success:
                return Frame(frame.readings, frame.goal, frame.verdict, num_redrawn=num_redrawn)
            num_redrawn += 1
        raise ScenarioError(
            f"goals=episodes offset={self._offset} must find goals that are not reached at the start; in {MAX_DRAWS} "
            "episodes the exploration of the run came to none: choose a larger offset, or goals=task"
        )

    def _explored(self, generator: Generator) -> tuple[Any, Readings]:
        """Returns a state in a new episode, and what was read `offset` control steps later."""
        frame = self._task.reset(int(generator.integers(*_SEEDS)))
        self._explorer.reset(frame.goal, seed=policy_seed(int(generator.integers(2**32))))
        prelude, state = int(generator.integers(LONGEST_PRELUDE + 1)), self._place.save()
        for step in range(prelude + self._offset):
            if step == prelude:
                state = self._place.save()
            frame = self._task.step(self._explorer.act(frame.readings))
        return state, frame.readings
