"""What keeps embeddings from collapsing to a point: the interface that all ways share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Generator, Tensor, nn

from world_model.jepa import JEPA
from world_model.types import Observation


class Regularizer(nn.Module, ABC):
    """One way against collapse; what it keeps between steps is in its `state_dict`."""

    def attach(self, model: JEPA) -> None:
        """Prepares for the training of a model that has its first weights and its normaliser."""

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
    def loss(self, blocks: Mapping[str, Tensor], generator: Generator) -> Tensor:
        """Returns a scalar that is added to the prediction loss.

        Args:
            blocks: Sensor name to its embeddings, `[time, batch, block_dim]`, float32.
            generator: Of all random draws.
        """

    def update(self, model: JEPA) -> None:
        """Follows the model after a step of the optimiser."""
