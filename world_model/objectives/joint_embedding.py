"""How a world model learns: what it imagines should be what came, and its embeddings should not collapse."""

from collections.abc import Mapping

import torch
from torch import Generator, Tensor, nn

from world_model.jepa import JEPA
from world_model.objectives.base import LatentBatch, Regularizer
from world_model.objectives.inverse_dynamics import InverseDynamics
from world_model.objectives.persistence import persistence_loss
from world_model.objectives.prediction import prediction_loss, predictions, total
from world_model.objectives.straightening import curvature
from world_model.types import Windows, is_image


class JointEmbeddingObjective(nn.Module):
    """All losses of a world model on windows of recorded episodes.

    Args:
        model: With its first weights and its normalisers.
        regularizer: Keeps it from collapsing; it is attached to the model here.
        block_weights: Sensor name to the weight of predicting its block; 1 where it is not named.
        inverse_dynamics_weight: Of guessing the action between two frames; 0 leaves it out.
        inverse_dynamics_dim: Width of its hidden layer.
        straightening_weight: Of the curvature of the embeddings' paths; 0 leaves it out.
        persistence_weight: Of the changes of what is to persist in each camera's block; 0 leaves it out.
        persistent_dim: How many of its first numbers that is, or all where it has fewer.
        half_precision: Whether encoders work in bfloat16; what follows is cheap, and needs float32.
    """

    def __init__(
        self,
        *,
        model: JEPA,
        regularizer: Regularizer,
        block_weights: Mapping[str, float],
        inverse_dynamics_weight: float,
        inverse_dynamics_dim: int,
        straightening_weight: float,
        persistence_weight: float,
        persistent_dim: int,
        half_precision: bool,
    ) -> None:
        super().__init__()
        regularizer.attach(model)
        self.model = model
        self.regularizer = regularizer
        self.inverse_dynamics: InverseDynamics | None = None
        if inverse_dynamics_weight > 0:
            self.inverse_dynamics = InverseDynamics(
                blocks=model.blocks, action_dim=model.action_dim, hidden_dim=inverse_dynamics_dim
            )
        self._block_weights = dict(block_weights)
        self._inverse_dynamics_weight = inverse_dynamics_weight
        self._straightening_weight = straightening_weight
        self._persistence_weight = persistence_weight
        self._persistent = [
            slice(block.start, min(block.start + persistent_dim, block.stop))
            for name, block in model.blocks.items()
            if is_image(model.sensors[name])
        ]
        self._half_precision = half_precision

    def forward(self, windows: Windows, generator: Generator, *, progress: float) -> dict[str, Tensor]:
        """Returns scalars by name: `loss`, which is minimised, the parts that it is the sum of, and `information`.

        Args:
            windows: Of `context_length + horizon` frames, on the model's device.
            generator: Of all random draws but those of dropout, on the CPU.
            progress: Share of the training that is done, 0..1.
        """
        model, observation = self.model, windows.observation
        embeddings = self.encode(windows)
        with self._precision():
            targets = self.regularizer.targets(model, observation, embeddings).float()
        predicted, learned = predictions(model, embeddings, windows.actions, came=targets, generator=generator)
        batch = LatentBatch(
            observation=observation,
            embeddings=embeddings,
            predictions=predicted,
            targets=targets[:, -predicted.shape[1] :],
            blocks=model.blocks,
        )
        parts = {
            "prediction": prediction_loss(batch.predictions, batch.targets, model.blocks, weights=self._block_weights),
            "regularization": self.regularizer.loss(batch, generator),
        }
        if self.inverse_dynamics is not None:
            guess = self.inverse_dynamics(embeddings, model.action_encoder(windows.actions))
            parts["inverse_dynamics"] = self._inverse_dynamics_weight * guess
        if self._straightening_weight > 0:
            parts["straightening"] = self._straightening_weight * curvature(embeddings)
        if self._persistence_weight > 0 and self._persistent:
            changes = [persistence_loss(embeddings[..., part], progress=progress) for part in self._persistent]
            parts["persistence"] = self._persistence_weight * torch.stack(changes).mean()
        parts |= learned
        return {"loss": total(parts), **parts}

    def encode(self, windows: Windows) -> Tensor:
        """Embeds frames in the precision of the training, to float32: `[batch, time, embed_dim]`."""
        with self._precision():
            embeddings = self.model.encode(windows.observation)
        return embeddings.float()

    def update(self) -> None:
        """Lets the regulariser follow the model after a step of the optimiser."""
        self.regularizer.update(self.model)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.model.device.type, torch.bfloat16, enabled=self._half_precision)
