"""Training of a world model: windows of recorded episodes in, a checkpoint out."""

import logging
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from envs.episodes.episode import EpisodeDataset
from world_model.building import building
from world_model.jepa import JEPA
from world_model.objectives.base import LatentBatch, Regularizer
from world_model.objectives.inverse_dynamics import InverseDynamics
from world_model.objectives.prediction import imagine, prediction_loss
from world_model.objectives.straightening import curvature
from world_model.ranges import check_count, check_number
from world_model.training.augmentation import Augmentation
from world_model.training.checkpoint import Checkpoint, Metadata
from world_model.training.data import (
    Windows,
    WindowSampler,
    action_moments,
    check_camera,
    long_enough,
    sensor_moments,
    split_episodes,
)
from world_model.training.fit import TrainingStopped, fit
from world_model.training.fit_settings import FitSettings
from world_model.training.monitors import Alarm, measure
from world_model.training.prefetch import Prefetch
from world_model.training.probed_frames import ProbedFrames
from world_model.types import Observation, is_image

__all__ = ["TrainingSettings", "TrainingStopped", "train_world_model"]

SECTION = "world_model"
_LOG = logging.getLogger(__name__)
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")
_PACKAGES = ("jepa-mpc", "numpy", "safetensors", "torch")
_SPLIT, _INITIAL, _TRAIN, _VALIDATION, _DROPOUT = range(5)


@dataclass(frozen=True)
class TrainingSettings(FitSettings):
    """How a world model is trained.

    Attributes:
        batch_size: Windows of one step.
        rollout_length: Imagined model steps of a window.
        validation_fraction: Share of the episodes that is validated on.
        num_validation_windows: Windows that are validated on, the same at every validation.
        inverse_dynamics_weight: Of the loss that guesses actions from pairs of frames, block by block; 0 leaves it out.
        inverse_dynamics_dim: Width of its hidden layer.
        proprioception_weight: Of the prediction of each sensor that is no camera, beside 1 of a camera. It decides how
            much of a shared predictor what the arm feels takes up; without cameras it changes nothing.
        straightening_weight: Of the curvature of the embeddings' paths; 0 leaves it out.
        num_probe_frames: Frames of learned, and as many of held-out episodes, on which linear probes are fitted and
            judged at each validation.
        augmentation: Random changes of camera frames.
        device: What trains: "cpu", "cuda", or "auto" for a CUDA GPU where there is one.
        precision: Of the encoders in training: "float32", "bfloat16", or "auto" for bfloat16 on a GPU.
        alarm: When a training is stopped.
    """

    batch_size: int
    rollout_length: int
    validation_fraction: float
    num_validation_windows: int
    inverse_dynamics_weight: float
    inverse_dynamics_dim: int
    proprioception_weight: float
    straightening_weight: float
    num_probe_frames: int
    augmentation: Mapping[str, Any]
    device: str
    precision: str
    alarm: Mapping[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("training.batch_size", self.batch_size, least=2)
        check_count("training.num_validation_windows", self.num_validation_windows, least=1)
        for name in ("rollout_length", "inverse_dynamics_dim", "num_probe_frames"):
            check_count(f"training.{name}", getattr(self, name), least=1)
        for name in ("inverse_dynamics_weight", "straightening_weight"):
            check_number(f"training.{name}", getattr(self, name), least=0)
        check_number("training.proprioception_weight", self.proprioception_weight, above=0)
        check_number("training.validation_fraction", self.validation_fraction, above=0)
        if self.num_validation_windows < self.batch_size or self.num_validation_windows % self.batch_size:
            raise ValueError(
                f"training.num_validation_windows must be a multiple of batch_size={self.batch_size}, "
                f"got {self.num_validation_windows}"
            )
        if self.validation_fraction >= 1:
            raise ValueError(f"training.validation_fraction must lie between 0 and 1, got {self.validation_fraction}")
        for name, known in (("device", DEVICES), ("precision", PRECISIONS)):
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"training.{name} must be one of {', '.join(known)}, got {value!r}")
        Augmentation.from_config(self.augmentation)
        Alarm.from_config(self.alarm)

    def window_steps(self, *, context_length: int, action_repeat: int) -> int:
        """Returns the control steps of a window: of the frames that the model sees, and of those that it imagines."""
        return (context_length + self.rollout_length - 1) * action_repeat

    def on_this_machine(self) -> "TrainingSettings":
        """Returns the settings with what "auto" stands for here.

        Raises:
            ValueError: A GPU is asked for, and there is none; what was trained on one elsewhere is of use all the same.
        """
        device, precision = self.device, self.precision
        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("training.device=cuda, and torch finds no CUDA GPU here: choose cpu, or auto")
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if precision == "auto":
            precision = "bfloat16" if device == "cuda" else "float32"
        return replace(self, device=device, precision=precision)


def train_world_model(
    *,
    build_model: Callable[[], JEPA],
    regularizer: Regularizer,
    dataset: EpisodeDataset,
    settings: TrainingSettings,
    configs: Mapping[str, Any],
    seed: int,
    output: Path,
) -> Path:
    """Trains a world model, or goes on with an interrupted training: on a CPU to the same bytes.

    Args:
        build_model: Builds it; its first weights are drawn from `seed`.
        regularizer: Keeps it from collapsing.
        dataset: What it learns from.
        settings: How.
        configs: Config group to `{"name", "values"}`, plain JSON: what the checkpoint says the model was built from.
        seed: Of all randomness.
        output: Folder of all that is written.

    Returns:
        The path of the last checkpoint.

    Raises:
        DatasetError: The dataset lacks a sensor, holds what is not finite, or too few episodes are long enough.
        TrainingStopped: The model has collapsed, is deaf to actions, or diverged.
        CheckpointError: The folder holds another training, or a damaged one.
        OSError: Something cannot be written.
    """
    settings = settings.on_this_machine()
    identity = {
        "seed": seed,
        "data": dataset.fingerprint,
        "configs": configs,
        "training": settings.identity,
        "regularizer": repr(regularizer),
    }
    with building(Generator("cpu").manual_seed(int(_rng(seed, _INITIAL, 0).integers(2**63)))):
        task = WorldModelTask(
            model=build_model(),
            regularizer=regularizer,
            dataset=dataset,
            settings=settings,
            configs=configs,
            seed=seed,
        )
    return fit(task, settings=settings, identity=identity, output=output, description="training")


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
    sides = split_episodes(len(usable), validation_fraction=validation_fraction, rng=_rng(seed, _SPLIT, 0))
    return usable[sides[0]], usable[sides[1]]


class WorldModelTask:
    """The world model's losses, monitors and checkpoint.

    Args:
        model: With its first weights.
        regularizer: Keeps it from collapsing.
        dataset: What it learns from.
        settings: How, without "auto".
        configs: For the checkpoint's metadata.
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
        seed: int,
    ) -> None:
        self._model, self._regularizer, self._settings, self._seed = model, regularizer, settings, seed
        self._device = torch.device(settings.device)
        self._alarm = Alarm.from_config(settings.alarm)
        self._augmentation = Augmentation.from_config(settings.augmentation)
        num_steps = settings.window_steps(context_length=model.context_length, action_repeat=model.action_repeat)
        learned, held_out = split_of_training(
            dataset, num_steps=num_steps, validation_fraction=settings.validation_fraction, seed=seed
        )
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
        windows = validation.sample(settings.num_validation_windows, _rng(seed, _VALIDATION, 0))
        self._validation = windows.to(self._device)
        self._batches = Prefetch(self._fetch)
        self._probes = ProbedFrames(
            dataset,
            sensors=model.sensors,
            learned=learned,
            held_out=held_out,
            num_frames=settings.num_probe_frames,
            rng=_rng(seed, _VALIDATION, 2),
        )
        numbers = [sensor for sensor, shape in model.sensors.items() if not is_image(shape)]
        self._weights = dict.fromkeys(numbers, settings.proprioception_weight)
        for camera in model.sensors.keys() - set(numbers):
            check_camera(dataset, camera)
        moments, _ = (  # of the held-out side too, which must be as finite
            ({sensor: sensor_moments(dataset, sensor, side) for sensor in numbers}, action_moments(dataset, side))
            for side in (learned, held_out)
        )
        model.fit_normalizer(*moments)
        regularizer.attach(model)
        self.module = nn.ModuleDict({"model": model, "regularizer": regularizer})
        if settings.inverse_dynamics_weight > 0:
            self.module["inverse_dynamics"] = InverseDynamics(
                blocks=model.blocks, action_dim=model.action_dim, hidden_dim=settings.inverse_dynamics_dim
            )
        self.module.to(self._device)
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

    def encode(self, observation: Observation) -> Tensor:
        """Embeds frames in the precision of the training, to float32: what follows is cheap, and needs it."""
        with self._precision():
            embeddings = self._model.encode(observation)
        return embeddings.float()

    def losses(self, step: int) -> dict[str, Tensor]:
        """Returns the loss on a new batch, and its parts."""
        self.module.train()
        windows, rng = self._batches.get(step)
        observation = {
            name: self._augmentation(readings, rng) if is_image(readings.shape[2:]) else readings
            for name, readings in windows.observation.items()
        }
        with torch.random.fork_rng(devices=[]):  # of dropout
            torch.manual_seed(int(_rng(self._seed, _DROPOUT, step).integers(2**63)))
            return self._losses(replace(windows, observation=observation), rng)

    def finish_step(self) -> None:
        """Lets the regulariser follow the model."""
        self._regularizer.update(self._model)

    def validate(self, step: int) -> dict[str, float]:  # noqa: ARG002
        """Returns losses and monitors on held-out windows."""
        self.module.eval()
        monitors = measure(self._model, self._validation) | self._probes.measure(self._model)
        rng = _rng(self._seed, _VALIDATION, 1)
        with torch.no_grad():
            losses = [self._losses(batch, rng) for batch in self._validation.split(self._settings.batch_size)]
        return {name: float(torch.stack([part[name] for part in losses]).mean()) for name in losses[0]} | monitors

    def judge(self, step: int, monitors: Mapping[str, float]) -> None:
        """Raises `TrainingStopped` if the model has collapsed, or is deaf to actions."""
        if self._alarm.is_due(step, self._settings.num_steps):
            self._alarm.check(step, monitors)

    def checkpoint(self, step: int) -> Checkpoint:
        """Returns the model and what is to be said of it."""
        metadata = replace(self._metadata, training_step=step)
        return Checkpoint(sections={SECTION: self._model.state_dict()}, metadata=metadata)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device.type, torch.bfloat16, enabled=self._settings.precision == "bfloat16")

    def _fetch(self, step: int) -> tuple[Windows, np.random.Generator]:
        """Returns the windows of a step, where they are needed, and what draws all else at that step."""
        rng = _rng(self._seed, _TRAIN, step)
        return self._train.sample(self._settings.batch_size, rng).to(self._device), rng

    def _losses(self, windows: Windows, rng: np.random.Generator) -> dict[str, Tensor]:
        model, context = self._model, self._model.context_length
        embeddings = self.encode(windows.observation)
        with self._precision():
            targets = self._regularizer.targets(model, windows.observation, embeddings).float()
        batch = LatentBatch(
            observation=windows.observation,
            embeddings=embeddings,
            predictions=imagine(model, embeddings, windows.actions),
            targets=targets[:, context:],
            blocks=model.blocks,
        )
        generator = Generator().manual_seed(int(rng.integers(2**63)))
        parts = {
            "prediction": prediction_loss(batch.predictions, batch.targets, model.blocks, weights=self._weights),
            "regularization": self._regularizer.loss(batch, generator),
        }
        if "inverse_dynamics" in self.module:
            guess = self.module["inverse_dynamics"](embeddings, model.action_normalizer(windows.actions))
            parts["inverse_dynamics"] = self._settings.inverse_dynamics_weight * guess
        if self._settings.straightening_weight > 0:
            parts["straightening"] = self._settings.straightening_weight * curvature(embeddings)
        return {"loss": torch.stack(list(parts.values())).sum(), **parts}


def _rng(seed: int, purpose: int, step: int) -> np.random.Generator:
    """Returns a generator for one purpose at one step, so that no generator is carried from step to step."""
    return np.random.default_rng((seed, purpose, step))
