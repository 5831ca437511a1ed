"""What shapes embeddings beside the prediction of the next one: the interface that all ways share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Generator, Tensor, nn

from world_model.jepa import JEPA
from world_model.types import Observation


@dataclass(frozen=True)
class LatentBatch:
    """What a model made of a batch of windows.

    Attributes:
        observation: Sensor name to what was embedded, `[batch, time, *shape]`, in the sensor's own units.
        embeddings: Of it, `[batch, time, embed_dim]`.
        predictions: Of the last `horizon` frames, `[batch, horizon, embed_dim]`, those that are predicted.
        targets: What the predictions are compared with, `[batch, horizon, embed_dim]`.
        blocks: Sensor name to its place in an embedding.
    """

    observation: Observation
    embeddings: Tensor
    predictions: Tensor
    targets: Tensor
    blocks: Mapping[str, slice]

    def by_block(self, embeddings: Tensor) -> dict[str, Tensor]:
        """Returns sensor name to its part of embeddings `[batch, time, embed_dim]`: `[time, batch, block_dim]`."""
        frames = embeddings.transpose(0, 1)
        return {name: frames[..., block] for name, block in self.blocks.items()}


class Regularizer(nn.Module, ABC):
    """One way against collapse; what it learns, and what it keeps between steps, is in its `state_dict`."""

    def attach(self, model: JEPA) -> None:
        """Prepares for the training of a model that has its first weights and its normaliser.

        What is built here and has parameters is trained with the model. Its first weights are drawn after the
        model's: those are the same under every regulariser.
        """

    def targets(self, model: JEPA, observation: Observation, embeddings: Tensor) -> Tensor:  # noqa: ARG002 - others do
        """Returns what predictions are compared with, `[batch, time, embed_dim]`.

        By default the embeddings themselves, so that gradients flow through both branches.

        Args:
            model: In training.
            observation: What was embedded.
            embeddings: `[batch, time, embed_dim]`, of `observation` by `model`.
        """
        return embeddings

    @abstractmethod
    def loss(self, batch: LatentBatch, generator: Generator) -> Tensor:
        """Returns a scalar, 0 or more, that is added to the prediction loss.

        Args:
            batch: What the model made of the windows of this step.
            generator: Of all random draws.
        """

    def update(self, model: JEPA) -> None:
        """Follows the model after a step of the optimiser."""
