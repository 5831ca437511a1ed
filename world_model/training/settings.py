"""How a world model is trained."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from jepa_mpc.ranges import check_count, check_number
from world_model.training.augmentation import Augmentation
from world_model.training.fit_settings import FitSettings
from world_model.training.monitors import Alarm

DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")


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
            much of a shared predictor what a robot feels of itself takes up; without cameras it changes nothing.
        straightening_weight: Of the curvature of the embeddings' paths; 0 leaves it out.
        persistence_weight: Of the changes of what is to persist in each camera's block; 0 leaves it out.
        persistent_dim: How many of its first numbers that is.
        num_probe_frames: Frames of learned, and as many of held-out episodes, on which linear probes are fitted and
            judged at each validation.
        num_contact_steps: Imagined model steps after which it is judged what becomes of things that can be moved.
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
    persistence_weight: float
    persistent_dim: int
    num_probe_frames: int
    num_contact_steps: int
    augmentation: Mapping[str, Any]
    device: str
    precision: str
    alarm: Mapping[str, Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("training.batch_size", self.batch_size, least=2)
        check_count("training.num_validation_windows", self.num_validation_windows, least=1)
        counts = ("rollout_length", "inverse_dynamics_dim", "persistent_dim", "num_probe_frames", "num_contact_steps")
        for name in counts:
            check_count(f"training.{name}", getattr(self, name), least=1)
        for name in ("inverse_dynamics_weight", "straightening_weight", "persistence_weight"):
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
