"""What is common to the training of critics and policies on embedded episodes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor, nn

from agent.learning.experience import Experience, Split
from agent.learning.hindsight import HindsightSampler, Transitions
from agent.learning.settings import LearningSettings
from world_model.training.checkpoint import Checkpoint, Metadata

_TRAIN, _VALIDATION = range(2)


class LearningTask(ABC):
    """Something that learns from transitions with goals in hindsight, as `world_model.training.fit` trains it.

    Args:
        module: All that is optimised or must be restored.
        experience: Embedded episodes.
        split: Which of them are learned from, and which are validated on.
        settings: How it learns.
        task_sensors: What the task's own goals ask for.
        num_ahead: Model steps from a moment to what is looked at later.
        reached_distance: Within which steps to a goal are counted to an end; see `HindsightSampler`.
        metadata: Of the checkpoint.
        seed: Of all randomness.

    Raises:
        DatasetError: The episodes are too short.

    Attributes:
        section: Of a checkpoint, where what was learned is kept.
    """

    section: ClassVar[str]

    def __init__(
        self,
        *,
        module: nn.Module,
        experience: Experience,
        split: Split,
        settings: LearningSettings,
        task_sensors: list[str],
        num_ahead: int,
        reached_distance: float | None = None,
        metadata: Metadata,
        seed: int,
    ) -> None:
        self.module = module
        self._settings, self._metadata, self._seed = settings, metadata, seed
        self._train, self._held_out = (
            HindsightSampler(
                experience,
                episodes=episodes,
                hindsight=settings.hindsight,
                task_sensors=task_sensors,
                num_ahead=num_ahead,
                reached_distance=reached_distance,
            )
            for episodes in (split.learned, split.held_out)
        )

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """Returns the loss on a new batch, and its parts."""
        self.module.train()
        return self._losses(self._train.sample(self._settings.batch_size, self._generator(_TRAIN, step)))

    def finish_step(self) -> None:  # noqa: B027 - most learning has nothing to follow
        """Follows a step of the optimiser."""

    def validate(self, step: int) -> dict[str, float]:  # noqa: ARG002
        """Returns the losses on held-out episodes."""
        self.module.eval()
        with torch.no_grad():
            transitions = self._held_out.sample(self._settings.num_validation_samples, self._generator(_VALIDATION, 0))
            return {name: float(value) for name, value in self._losses(transitions).items()}

    def judge(self, step: int, monitors: Mapping[str, float]) -> None:  # noqa: B027 - critics have no monitors
        """Judges what was measured."""

    def checkpoint(self, step: int) -> Checkpoint:
        """Returns the weights of what learns."""
        return Checkpoint(
            sections={self.section: self.learner.state_dict()}, metadata=replace(self._metadata, training_step=step)
        )

    @property
    def learner(self) -> nn.Module:
        """What of the module is kept."""
        return self.module

    @abstractmethod
    def _losses(self, transitions: Transitions) -> Mapping[str, Tensor]:
        """Returns `loss` and its parts."""

    def _generator(self, purpose: int, step: int) -> Generator:
        """Returns a generator for one purpose at one step, so that none is carried from step to step."""
        state = np.random.SeedSequence((self._seed, purpose, step)).generate_state(1, np.uint64)[0]
        return Generator().manual_seed(int(state >> np.uint64(1)))
