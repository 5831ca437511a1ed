"""What dynamics learn alone, on the embeddings of a frozen encoder: no picture is drawn or encoded again."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from envs.episodes.episode import EpisodeDataset
from world_model.dynamics.gated_mlp import GatedChange
from world_model.jepa import JEPA
from world_model.objectives.prediction import prediction_loss, predictions, total
from world_model.training.checkpoint import Checkpoint, Metadata
from world_model.training.contact import ContactWindows
from world_model.training.dynamics_settings import DynamicsSettings
from world_model.training.embedded_windows import EmbeddedWindows
from world_model.training.monitors import Alarm, measure_dynamics
from world_model.training.probed_frames import ProbedFrames
from world_model.training.randomness import DROPOUT, TRAIN, VALIDATION, rng_of

SECTION = "world_model"
"""Of a checkpoint."""


class DynamicsTask:
    """The losses and monitors of dynamics that go on alone, as `world_model.training.fit` trains them.

    Args:
        model: Whose encoders are frozen.
        embeddings: `[num_frames, embed_dim]`, of every frame of the dataset.
        dataset: What was recorded.
        learned: Episodes that are learned from, `[num_learned]`.
        held_out: Episodes that are validated on, `[num_held_out]`.
        settings: How.
        num_validation_windows: The same at every validation.
        block_weights: Sensor name to the weight of predicting its block; 1 where it is not named.
        probes: Tell people what an embedding knows.
        contact: Judges contact.
        alarm: Tells of dynamics with which one should not plan.
        metadata: Of the checkpoint.
        seed: Of all randomness.
    """

    def __init__(
        self,
        *,
        model: JEPA,
        embeddings: Tensor,
        dataset: EpisodeDataset,
        learned: NDArray[np.int64],
        held_out: NDArray[np.int64],
        settings: DynamicsSettings,
        num_validation_windows: int,
        block_weights: Mapping[str, float],
        probes: ProbedFrames,
        contact: ContactWindows,
        alarm: Alarm,
        metadata: Metadata,
        seed: int,
    ) -> None:
        self._model, self._embeddings, self._settings, self._seed = model, embeddings, settings, seed
        self._block_weights, self._contact, self._alarm = dict(block_weights), contact, alarm
        self._metadata = metadata
        self._module = nn.ModuleList(part for part in (model.dynamics, model.latent) if part is not None)
        self._train, validation = (
            EmbeddedWindows(
                embeddings,
                dataset=dataset,
                episodes=episodes,
                model=model,
                num_frames=model.context_length + settings.rollout_length,
                contact_share=share,
                rng=rng_of(seed, VALIDATION, 4),
            )
            for episodes, share in ((learned, settings.contact_share), (held_out, 0.0))
        )
        self._validation = validation.sample(num_validation_windows, rng_of(seed, VALIDATION, 5))
        self._probes = probes.fit(self._embed)
        self._seen = probes.judge(self._embed, self._probes)

    @property
    def module(self) -> nn.Module:
        """What is trained: the dynamics and their latent variable, and nothing of the encoders."""
        return self._module

    def losses(self, step: int) -> dict[str, Tensor]:
        """Returns the loss on a new batch, and its parts."""
        self._model.eval()
        self.module.train()
        rng = rng_of(self._seed, TRAIN, step)
        windows = self._train.sample(self._settings.batch_size, rng)
        device = self._model.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):  # of dropout
            torch.manual_seed(int(rng_of(self._seed, DROPOUT, step).integers(2**63)))
            return self._losses(windows, rng)

    def finish_step(self) -> None:
        """Follows a step of the optimiser: nothing does."""

    @torch.no_grad()
    def validate(self, step: int) -> dict[str, float]:  # noqa: ARG002
        """Returns losses and monitors on held-out windows."""
        self.module.eval()
        losses = self._losses(self._validation, rng_of(self._seed, VALIDATION, 1))
        embeddings, actions = (part.to(self._model.device) for part in self._validation)
        return {
            **{name: float(part) for name, part in losses.items()},
            **measure_dynamics(self._model, embeddings, actions),
            **self._seen,
            **self._contact.measure(self._model, self._embed, self._probes),
        }

    def judge(self, step: int, monitors: Mapping[str, float]) -> None:
        """Raises `TrainingStopped` if the dynamics are deaf to actions, and tells at the end of contact."""
        num_steps = self._settings.num_steps
        if self._alarm.is_due(step, num_steps):
            self._alarm.check_hearing(
                step,
                monitors,
                advice="a smaller dynamics_training.learning_rate may help, if they are what moves the sensors",
            )
        if step == num_steps:
            advice = "let the dynamics go on alone for longer (dynamics_training.num_steps)"
            self._alarm.tell_of_contact(monitors, advice=f"{advice}{or_gates(self._model)}")

    def checkpoint(self, step: int) -> Checkpoint:
        """Returns the whole world model."""
        return Checkpoint(
            sections={SECTION: self._model.state_dict()}, metadata=replace(self._metadata, training_step=step)
        )

    def _losses(self, windows: tuple[Tensor, Tensor], rng: np.random.Generator) -> dict[str, Tensor]:
        embeddings, actions = (part.to(self._model.device) for part in windows)
        generator = Generator("cpu").manual_seed(int(rng.integers(2**63)))
        predicted, learned = predictions(self._model, embeddings, actions, came=embeddings, generator=generator)
        targets = embeddings[:, -predicted.shape[1] :]
        parts = {
            "prediction": prediction_loss(predicted, targets, self._model.blocks, weights=self._block_weights),
            **learned,
        }
        return {"loss": total(parts), **parts}

    def _embed(self, rows: NDArray[np.int64]) -> Tensor:
        """Looks the embeddings of recorded frames up."""
        return self._embeddings[torch.from_numpy(rows)]


def or_gates(model: JEPA) -> str:
    """Returns the advice to gate what the dynamics change, or none where they do."""
    is_gated = any(isinstance(part, GatedChange) for part in model.dynamics.modules())
    return "" if is_gated else ", or gate their changes (predictor=gated_mlp)"
