"""What a world model learns from recorded episodes, as `world_model.training.fit` trains it."""

import logging
import platform
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from envs.episodes.episode import EpisodeDataset
from world_model.encoders.images import ImageEncoder
from world_model.jepa import JEPA
from world_model.objectives.base import Regularizer
from world_model.objectives.joint_embedding import JointEmbeddingObjective
from world_model.training.augmentation import Augmentation
from world_model.training.checkpoint import Checkpoint, Metadata
from world_model.training.contact import ContactWindows
from world_model.training.data import (
    WindowSampler,
    action_moments,
    check_camera,
    long_enough,
    sensor_moments,
    split_episodes,
)
from world_model.training.dynamics_settings import DynamicsSettings
from world_model.training.dynamics_task import SECTION, DynamicsTask, or_gates
from world_model.training.embedded import FramesOnce, embed_rows
from world_model.training.fit import threads
from world_model.training.monitors import Alarm, measure
from world_model.training.places import NUM_STEPS, NUM_WINDOWS, AffineMap, find_places
from world_model.training.prefetch import Prefetch
from world_model.training.probed_frames import ProbedFrames
from world_model.training.randomness import DROPOUT, SPLIT, TRAIN, VALIDATION, rng_of
from world_model.training.settings import TrainingSettings
from world_model.types import Windows, is_image

_LOG = logging.getLogger(__name__)
_PACKAGES = ("jepa-mpc", "numpy", "safetensors", "torch")


def split_of_training(
    dataset: EpisodeDataset, *, num_steps: int, validation_fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the episodes that a world model of that seed learns from, and those that it is validated on.

    Args:
        dataset: Where they come from.
        num_steps: Control steps of a window; shorter episodes are on neither side.
        validation_fraction: Share of those that is validated on.
        seed: Of the training.

    Raises:
        DatasetError: There are fewer than two episodes that are long enough.
    """
    usable = long_enough(dataset, num_steps=num_steps)
    sides = split_episodes(len(usable), validation_fraction=validation_fraction, rng=rng_of(seed, SPLIT, 0))
    return usable[sides[0]], usable[sides[1]]


class WorldModelTask:
    """The world model's losses, monitors and checkpoint.

    Args:
        model: With its first weights.
        regularizer: Keeps it from collapsing.
        dataset: What it learns from.
        settings: How, without "auto".
        configs: For the checkpoint's metadata.
        is_last_stage: Whether the dynamics do not go on alone when this is done.
        seed: Of all randomness.
    """

    def __init__(
        self,
        *,
        model: JEPA,
        regularizer: Regularizer,
        dataset: EpisodeDataset,
        settings: TrainingSettings,
        configs: Mapping[str, Any],
        is_last_stage: bool,
        seed: int,
    ) -> None:
        self._is_last_stage = is_last_stage
        self._model, self._dataset, self._settings, self._seed = model, dataset, settings, seed
        self._device = torch.device(settings.device)
        self._alarm = Alarm.from_config(settings.alarm)
        self._augmentation = Augmentation.from_config(settings.augmentation)
        num_steps = settings.window_steps(context_length=model.context_length, action_repeat=model.action_repeat)
        learned, held_out = split_of_training(
            dataset, num_steps=num_steps, validation_fraction=settings.validation_fraction, seed=seed
        )
        self._learned, self._held_out = learned, held_out
        if num_skipped := dataset.num_episodes - len(learned) - len(held_out):
            _LOG.warning(
                "%d of %d episodes are shorter than the %d control steps of a window: nothing is learned from them",
                num_skipped,
                dataset.num_episodes,
                num_steps,
            )
        self._train, validation = (
            WindowSampler(
                dataset,
                sensors=model.sensors,
                episodes=episodes,
                num_frames=model.context_length + settings.rollout_length,
                action_repeat=model.action_repeat,
            )
            for episodes in (learned, held_out)
        )
        windows = validation.sample(settings.num_validation_windows, rng_of(seed, VALIDATION, 0))
        self._validation = windows.to(self._device)
        self._batches = Prefetch(self._fetch)
        self._probes = ProbedFrames(
            dataset,
            learned=learned,
            held_out=held_out,
            num_frames=settings.num_probe_frames,
            rng=rng_of(seed, VALIDATION, 2),
        )
        self._contact = ContactWindows(
            dataset,
            episodes=held_out,
            model=model,
            horizon=settings.num_contact_steps,
            num_windows=settings.num_validation_windows // 2,
            rng=rng_of(seed, VALIDATION, 3),
        )
        numbers = [sensor for sensor, shape in model.sensors.items() if not is_image(shape)]
        for camera in model.sensors.keys() - set(numbers):
            check_camera(dataset, camera)
        moments, _ = (  # of the held-out side too, which must be as finite
            ({sensor: sensor_moments(dataset, sensor, side) for sensor in numbers}, action_moments(dataset, side))
            for side in (learned, held_out)
        )
        model.fit_normalizer(*moments)
        self._block_weights = dict.fromkeys(numbers, settings.proprioception_weight)
        self.module = JointEmbeddingObjective(
            model=model,
            regularizer=regularizer,
            block_weights=self._block_weights,
            inverse_dynamics_weight=settings.inverse_dynamics_weight,
            inverse_dynamics_dim=settings.inverse_dynamics_dim,
            straightening_weight=settings.straightening_weight,
            persistence_weight=settings.persistence_weight,
            persistent_dim=settings.persistent_dim,
            half_precision=settings.precision == "bfloat16",
        ).to(self._device)
        self._metadata = Metadata(
            configs=configs,
            env=dataset.manifest.env.to_json(),
            action_repeat=model.action_repeat,
            versions={"python": platform.python_version()} | {name: version(name) for name in _PACKAGES},
            data_fingerprint=dataset.fingerprint,
            training_step=0,
            bonds={},
        )

    @property
    def model(self) -> JEPA:
        """What is trained."""
        return self._model

    def losses(self, step: int) -> dict[str, Tensor]:
        """Returns the loss on a new batch, and its parts."""
        self.module.train()
        windows, rng = self._batches.get(step)
        observation = {
            name: self._augmentation(readings, rng) if is_image(readings.shape[2:]) else readings
            for name, readings in windows.observation.items()
        }
        with torch.random.fork_rng(devices=[self._device] if self._device.type == "cuda" else []):  # of dropout
            torch.manual_seed(int(rng_of(self._seed, DROPOUT, step).integers(2**63)))
            return self._losses(replace(windows, observation=observation), rng, step)

    def finish_step(self) -> None:
        """Lets the regulariser follow the model."""
        self.module.update()

    def validate(self, step: int) -> dict[str, float]:
        """Returns losses and monitors on held-out windows."""
        self.module.eval()
        embed = FramesOnce(self._model, self._dataset)
        probes = self._probes.fit(embed)
        monitors = {
            **measure(self._model, self._validation),
            **self._probes.judge(embed, probes),
            **self._contact.measure(self._model, embed, probes),
        }
        rng = rng_of(self._seed, VALIDATION, 1)
        with torch.no_grad():
            losses = [self._losses(batch, rng, step) for batch in self._validation.split(self._settings.batch_size)]
        return {name: float(torch.stack([part[name] for part in losses]).mean()) for name in losses[0]} | monitors

    def judge(self, step: int, monitors: Mapping[str, float]) -> None:
        """Raises `TrainingStopped` if the model has collapsed, or is deaf to actions."""
        if self._alarm.is_due(step, self._settings.num_steps):
            self._alarm.check(step, monitors)
            if step == self._settings.num_steps and self._is_last_stage:
                advice = "let the dynamics go on alone (dynamics_training.num_steps)"
                self._alarm.tell_of_contact(monitors, advice=f"{advice}{or_gates(self._model)}")

    def checkpoint(self, step: int) -> Checkpoint:
        """Returns the model and what is to be said of it."""
        metadata = replace(self._metadata, training_step=step)
        return Checkpoint(sections={SECTION: self._model.state_dict()}, metadata=metadata)

    def check_alone(self, settings: DynamicsSettings) -> None:
        """Raises `DatasetError` where the dynamics could not go on alone, before anything is learned."""
        for episodes in (self._learned, self._held_out):
            WindowSampler(
                self._dataset,
                sensors=[],
                episodes=episodes,
                num_frames=self._model.context_length + settings.rollout_length,
                action_repeat=self._model.action_repeat,
            )

    @torch.no_grad()
    def tell_places(self) -> None:
        """Makes each camera's block tell where things are, if something of it has learned to persist.

        The dynamics, which knew the numbers as they were, go on from there.
        """
        if self._settings.persistence_weight == 0:
            return
        model = self._model
        windows = WindowSampler(
            self._dataset,
            sensors=[],
            episodes=self._learned,
            num_frames=1 + min(NUM_STEPS, int(self._dataset.lengths[self._learned].min()) // model.action_repeat),
            action_repeat=model.action_repeat,
        )
        chosen = rng_of(self._seed, VALIDATION, 6).integers(len(windows), size=NUM_WINDOWS)
        rows, actions = windows.rows(chosen), windows.actions(chosen)
        ways = actions.view(*actions.shape[:2], model.action_repeat, model.control_action_dim).sum(dim=2)
        frames, where = np.unique(rows, return_inverse=True)
        heads = [encoder.projector for encoder in model.encoders.values() if isinstance(encoder, ImageEncoder)]
        with threads(self._settings.num_threads):
            with ExitStack() as stack:
                kept = [stack.enter_context(head.before_last()) for head in heads]
                embed_rows(model, self._dataset, frames)
            for head, parts in zip(heads, kept, strict=True):
                found = find_places(
                    torch.cat(parts).cpu()[torch.from_numpy(where.reshape(rows.shape))],
                    ways,
                    last=AffineMap(head.last.weight.cpu(), head.last.bias.cpu()),
                    persistent_dim=self._settings.persistent_dim,
                )
                head.last.weight.copy_(found.weight)
                head.last.bias.copy_(found.bias)

    def dynamics_task(self, embeddings: Tensor, settings: DynamicsSettings) -> DynamicsTask:
        """Returns what the dynamics learn alone when this is done, on the same episodes.

        Args:
            embeddings: `[num_frames, embed_dim]`, of every frame of the dataset.
            settings: How.
        """
        return DynamicsTask(
            model=self._model,
            embeddings=embeddings,
            dataset=self._dataset,
            learned=self._learned,
            held_out=self._held_out,
            settings=settings,
            num_validation_windows=self._settings.num_validation_windows,
            block_weights=self._block_weights,
            probes=self._probes,
            contact=self._contact,
            alarm=self._alarm,
            metadata=self._metadata,
            seed=self._seed,
        )

    def _fetch(self, step: int) -> tuple[Windows, np.random.Generator]:
        """Returns the windows of a step, where they are needed, and what draws all else at that step."""
        rng = rng_of(self._seed, TRAIN, step)
        return self._train.sample(self._settings.batch_size, rng).to(self._device), rng

    def _losses(self, windows: Windows, rng: np.random.Generator, step: int) -> dict[str, Tensor]:
        generator = Generator("cpu").manual_seed(int(rng.integers(2**63)))
        losses: dict[str, Tensor] = self.module(windows, generator, progress=step / self._settings.num_steps)
        return losses
