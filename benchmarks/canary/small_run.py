"""A small run of reach, on which is measured how well it acts, and what is known of all that it has learned."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from agent import api
from agent.actor import Actor
from agent.evaluation.seeds import episode_seeds
from agent.run.stages.loading import checkpoint_path, load_modules
from agent.run.stages.modules import Modules
from benchmarks.canary.environment import make_task
from envs.episodes.episode import Episode, EpisodeDataset
from envs.episodes.rollout import rollout
from envs.types import HasExpert, Policy

NUM_EPISODES = 40

SMALL: dict[str, Any] = {
    "env": "reach",
    "critic": ["cost_to_go"],
    "critic.cost_to_go.weight": 0.0,  # so short a training tells which way is shorter, and spoils the last centimetres
    "world_model.context_length": 2,  # whose order can be wrong
    "collect.num_episodes": 200,
    "training.num_steps": 500,
    "learning.num_steps": 500,
    "configurator.num_evaluations": 256,
    "evaluate.num_episodes": NUM_EPISODES,
    "evaluate.split": "validation",
    "evaluate.videos": 0,
}
"""As little as it takes to learn to reach."""


@dataclass(frozen=True)
class SmallRun:
    """A finished run.

    Attributes:
        run: As it was returned.
        seed: Its seed.
    """

    run: api.Run
    seed: int

    @classmethod
    def make(cls, output: Path, seed: int) -> "SmallRun":
        """Collects, trains and evaluates, in a new folder."""
        return cls(api.run(output=output, seed=seed, **SMALL), seed)

    @cached_property
    def dataset(self) -> EpisodeDataset:
        """What was recorded."""
        return self.run.collection.episodes

    @cached_property
    def modules(self) -> Modules:
        """What was learned."""
        return load_modules(self.run.evaluation.config, checkpoint_path(self.run.folder))

    @property
    def actor(self) -> Actor:
        """A new agent."""
        return self.run.agent

    @cached_property
    def ways(self) -> list[Episode]:
        """A few episodes of the expert."""
        task = make_task("reach")
        assert isinstance(task, HasExpert)
        return [self.act(task.expert(), entry) for entry in range(5)]

    def success(self, agent: str, which: str) -> float:
        """Returns an agent's success at the end: its "rate", or that rate's lower bound, "low"."""
        return float(self.run.results["agents"][agent]["success_at_end"][which])

    def act(self, policy: Policy, entry: int) -> Episode:
        """Returns an episode of the validation split, in a new world."""
        task = make_task("reach")
        return rollout(
            task, policy, seed=episode_seeds("validation", NUM_EPISODES)[entry], num_steps=task.spec.num_steps
        )
