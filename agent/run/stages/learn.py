"""All that the agent learns from recorded episodes, stage by stage; each goes on where it was interrupted.

training/           the world model; its encoders lie below, where its dynamics go on alone
embeddings.safetensors  what a camera saw, embedded
critic/NAME/        each critic, on the frozen world model
policy/             the reactive policy, and the plans of mode 2 that it imitates
policy/refined/     the same, refined in imagination
agent.safetensors   all of it, and the statistics of the cost terms: what acts
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn

from agent.actions import still_action
from agent.cost.statistics import TrainingStatistics
from agent.cost.types import CostModule
from agent.guardrails import Guardrails
from agent.learning.critic import CriticTask
from agent.learning.experience import Experience, Split, embed_episodes
from agent.learning.hindsight import HindsightSampler
from agent.learning.policy import PolicyTask
from agent.learning.practice import Demonstrations, practise
from agent.learning.refinement import RefinementTask
from agent.learning.settings import LearningSettings
from agent.learning.task import LearningTask
from agent.policy import MLPPolicy
from agent.run.config.building import build
from agent.run.config.composing import Config
from agent.run.config.randomness import rng
from agent.run.config.schema import BEHIND_A_POLICY, OF_POLICY_ALONE
from agent.run.stages.loading import (
    CHECKPOINT,
    build_planner,
    build_terms,
    check_learned_from,
    critic_learning,
    draw_split,
    embeddings_file,
    steps_critic,
)
from agent.run.stages.modules import WORLD_MODEL, Modules, bond, build_modules, build_world_model, model_configs
from envs.episodes.check import check_checksums
from envs.episodes.episode import EpisodeDataset
from planners.types import ActionBounds
from world_model.training.checkpoint import Checkpoint, Metadata, load_checkpoint, save_checkpoint, section_sha256
from world_model.training.fit import fit
from world_model.training.train import train_world_model

TRAINING_FOLDER = "training"
CRITIC_FOLDER = "critic"
POLICY_FOLDER = "policy"
REFINED_FOLDER = "refined"
PLANS_FILE = "plans.safetensors"

_NUM_STATISTICS = 20_000
"""Frames that cost terms are fitted to, at most."""


def learn(config: Config, dataset: EpisodeDataset, output: Path) -> Path:
    """Trains world model, critics and policy, as far as the config asks for them; returns the checkpoint of them all.

    Raises:
        DatasetError: The data are not what was recorded, or too few.
        TrainingStopped: A training cannot succeed.
        CheckpointError: The folder holds another training, or a damaged one.
    """
    path = output / CHECKPOINT
    if path.is_file():
        check_learned_from(dataset, path)
        return path
    check_checksums(dataset)
    checkpoint = _learn_world_model(config, dataset, output)
    modules = build_modules(config, checkpoint.metadata.configs, dataset.manifest.env)
    _take_over(modules.world_model, checkpoint, WORLD_MODEL)
    modules.world_model.to(build(config.values.training).on_this_machine().device)
    experience = embed_episodes(modules.world_model, dataset, cache=embeddings_file(dataset, output))
    modules.world_model.cpu()  # all else is small
    later = _LaterStages(
        config=config,
        modules=modules,
        experience=experience,
        split=draw_split(config, dataset),
        metadata=checkpoint.metadata,
        parent=section_sha256(checkpoint.sections[WORLD_MODEL]),
        output=output,
    )
    later.fit_terms(dataset)
    for name in modules.critics:
        later.learn_critic(name)
    if modules.policy is not None:
        later.learn_policy(modules.policy)
    sections = {name: module.state_dict() for name, module in modules.sections.items()}
    bonds = {name: bond(sections, name) for name in sections if name != WORLD_MODEL}
    save_checkpoint(path, Checkpoint(sections=sections, metadata=replace(checkpoint.metadata, bonds=bonds)))
    return path


def _learn_world_model(config: Config, dataset: EpisodeDataset, output: Path) -> Checkpoint:
    values, configs = config.values, model_configs(config)
    path = train_world_model(
        build_model=partial(build_world_model, configs, dataset.manifest.env),
        regularizer=build(values.regularizer),
        dataset=dataset,
        settings=build(values.training),
        dynamics_settings=build(values.dynamics_training),
        configs=configs,
        seed=values.seed,
        output=output / TRAINING_FOLDER,
        cache=embeddings_file(dataset, output),
    )
    return load_checkpoint(path)


@dataclass(frozen=True)
class _LaterStages:
    """What stands on a trained world model.

    Attributes:
        config: Of the run.
        modules: What learns; the world model has learned.
        experience: What was recorded.
        split: Which episodes are learned from, and which are validated on.
        metadata: Of the world model's checkpoint.
        parent: Hash of the world model.
        output: Folder of the run.
    """

    config: Config
    modules: Modules
    experience: Experience
    split: Split
    metadata: Metadata
    parent: str
    output: Path

    def fit_terms(self, dataset: EpisodeDataset) -> None:
        """Gives the frozen cost terms their statistics, of the episodes that are learned from."""
        learned = self.experience.frames(self.split.learned).numpy()
        rows = self._rng("statistics").permutation(learned)[:_NUM_STATISTICS]
        statistics = TrainingStatistics(
            embeddings=self.experience.embeddings[torch.from_numpy(rows)],
            readings={
                name: torch.from_numpy(dataset.observations[name][rows])
                for name in self.modules.spec.perceived
                if not self.modules.spec.sensors[name].is_image
            },
            control_dt=self.modules.spec.control_dt,
            action_repeat=self.experience.action_repeat,
        )
        for term in self.modules.fitted_terms.values():
            term.fit(statistics)

    def learn_critic(self, name: str) -> None:
        """Trains one critic."""
        critic = self.modules.critics[name]
        settings = build(self.config.values.learning)
        purpose = f"critic.{name}"
        task = CriticTask(critic=critic, learning=critic_learning(self.config, name), **self._common(settings, purpose))
        learning = {key: value for key, value in settings.identity.items() if key not in OF_POLICY_ALONE}
        identity = {"critic": self.config.plain()["values"]["critic"][name], "learning": learning}
        path = self._fit(task, settings, identity, self.output / CRITIC_FOLDER / name, purpose)
        _take_over(critic, load_checkpoint(path), "critic")

    def learn_policy(self, policy: MLPPolicy) -> None:
        """Lets mode 2 practise, trains the policy on its plans and on the recorded actions, and refines it."""
        values, judge = self.config.values.policy, steps_critic(self.config)
        assert judge is not None
        rule = critic_learning(self.config, judge).cost_to_go
        assert rule is not None
        settings = build(self.config.values.learning)
        plain = self.config.plain()["values"]
        identity = {key: plain[key] for key in BEHIND_A_POLICY}
        identity["horizon"] = plain["configurator"]["horizon"]
        task = PolicyTask(
            policy=policy,
            critic=self.modules.critics[judge],
            cost_to_go=rule,
            learning=build(values.learning),
            demonstrations=self._demonstrate(settings, identity),
            **self._common(settings, "policy"),
        )
        path = self._fit(task, settings, identity, self.output / POLICY_FOLDER, "policy")
        checkpoint = load_checkpoint(path)
        checkpoint.restore("policy", policy)

        settings = settings.of_refinement()
        refinement = RefinementTask(
            policy=policy,
            world_model=self.modules.world_model,
            cost=CostModule(**build_terms(self.config, self.modules)),
            violation_weight=build(values.learning).violation_weight,
            bounds=self._bounds,
            still=self._still,
            horizon=settings.refinement_horizon,
            **self._common(settings, "refinement"),
        )
        identity["imitated"] = section_sha256(checkpoint.sections["policy"])
        path = self._fit(refinement, settings, identity, self.output / POLICY_FOLDER / REFINED_FOLDER, "refinement")
        _take_over(policy, load_checkpoint(path), "policy")

    def _demonstrate(self, settings: LearningSettings, identity: Mapping[str, Any]) -> Demonstrations:
        """Returns mode 2's plans: those of an earlier call, if it came so far."""
        path = self.output / POLICY_FOLDER / PLANS_FILE
        digest = hashlib.sha256(json.dumps([identity, self._identity(settings)], sort_keys=True).encode()).hexdigest()
        demonstrations = Demonstrations.load(path, identity=digest)
        if demonstrations is None:
            values = self.config.values
            demonstrations = practise(
                HindsightSampler(
                    self.experience,
                    episodes=self.split.learned,
                    hindsight=settings.hindsight,
                    task_sensors=self._task_sensors,
                    num_ahead=1,
                ),
                world_model=self.modules.world_model,
                cost=CostModule(**build_terms(self.config, self.modules)),
                planner=build_planner(self.config),
                bounds=self._bounds,
                still=self._still,
                horizon=values.configurator.horizon,
                num_plans=settings.num_plans,
                num_imitated=build(values.policy.learning).num_imitated,
                generator=Generator().manual_seed(int(self._rng("practice").integers(2**62))),
                num_threads=settings.num_threads,
            )
            demonstrations.save(path, identity=digest)
        return demonstrations

    def _fit(
        self,
        task: LearningTask,
        settings: LearningSettings,
        identity: Mapping[str, Any],
        folder: Path,
        purpose: str,
    ) -> Path:
        return fit(
            task,
            settings=settings,
            identity={**self._identity(settings), **identity},
            output=folder,
            description=purpose,
        )

    def _identity(self, settings: LearningSettings) -> dict[str, Any]:
        return {
            "seed": self.config.values.seed,
            "data": self.metadata.data_fingerprint,
            "world_model": self.parent,
            "learning": settings.identity,
        }

    def _common(self, settings: LearningSettings, purpose: str) -> dict[str, Any]:
        """Returns what all learning needs."""
        return {
            "experience": self.experience,
            "split": self.split,
            "settings": settings,
            "task_sensors": self._task_sensors,
            "metadata": self.metadata,
            "seed": int(self._rng(f"samples of {purpose}").integers(2**31)),
        }

    @property
    def _still(self) -> Tensor:
        """What the robot does before an episode, `[action_dim]`."""
        return torch.from_numpy(still_action(self.modules.spec.actions, None).astype(np.float32))

    @property
    def _bounds(self) -> ActionBounds:
        """What the guardrails let through at the beginning of an episode."""
        guardrails: Guardrails = build(self.config.values.guardrails, spec=self.modules.spec, latency=0)
        return guardrails.bounds(None)

    @property
    def _task_sensors(self) -> list[str]:
        """The sensors that the task's own goals ask for."""
        return [name for name in self.modules.spec.asked if name in self.experience.goal_parts]

    def _rng(self, purpose: str) -> np.random.Generator:
        return rng(self.config, purpose)


def _take_over(module: nn.Module, checkpoint: Checkpoint, section: str) -> None:
    """Loads what was learned, and freezes it."""
    checkpoint.restore(section, module)
    module.eval().requires_grad_(False)
