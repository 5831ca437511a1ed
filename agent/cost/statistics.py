"""What a frozen cost term knows of the training data. Read this before a term that is fitted."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from world_model.types import LatentGoal, LatentTrajectory


@dataclass(frozen=True)
class TrainingStatistics:
    """Frames that the world model was trained on, in random order.

    Attributes:
        embeddings: `[rows, embed_dim]`.
        readings: Sensor name to what it read in the same frames, `[rows, *sensor_shape]`, in the sensor's units; all
            sensors but cameras that the agent may see, whether the world model uses them or not.
        control_dt: Control period, s.
        action_repeat: Control steps of a model step.
    """

    embeddings: Tensor
    readings: Mapping[str, Tensor]
    control_dt: float
    action_repeat: int


class FittedCost(ABC, nn.Module):
    """A cost term that is fitted to the training data once, and frozen.

    All that it knows lies in buffers, whose shapes follow from the constructor's arguments, so that it is saved and
    loaded with the world model. It has no parameter. Until it is fitted its buffers, and what it costs, are NaN.

    Beside the values of its yaml, the constructor of every fitted term takes:

    - `blocks`: sensor name to its place in the embedding, as `WorldModel.blocks`;
    - `sensors`: sensor name to the shape of its reading, of all that the agent may see and that are no cameras.
    """

    @abstractmethod
    def fit(self, statistics: TrainingStatistics) -> None:
        """Takes over what the term needs to know of the training data; the same data give the same buffers."""

    @abstractmethod
    def forward(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:
        """Returns `[batch, num_samples]`, at least 0, lower is better."""
