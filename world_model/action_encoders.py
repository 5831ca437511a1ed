"""Actions as dynamics take them: numbers of a size near 1."""

from abc import ABC, abstractmethod

import numpy as np
from torch import Tensor, nn

from world_model.normalizer import Moments, Normalizer


class ActionEncoder(nn.Module, ABC):
    """Encodes model actions, `[..., action_dim]` to the same: each is the concatenation of its control actions.

    Args:
        action_dim: Size of a control action.
        action_repeat: Control steps of a model step.
    """

    @abstractmethod
    def fit(self, moments: Moments) -> None:
        """Takes over the moments of the control actions of the training data."""


class BoxActionEncoder(ActionEncoder):
    """For actions that are numbers: shifted and scaled by what the training data show."""

    def __init__(self, *, action_dim: int, action_repeat: int) -> None:
        super().__init__()
        self._action_repeat = action_repeat
        self.normalizer = Normalizer((action_dim * action_repeat,))

    def fit(self, moments: Moments) -> None:
        """Takes over the moments, the same for each control action."""
        mean, std = (np.tile(values, self._action_repeat) for values in (moments.mean, moments.std))
        self.normalizer.fit(Moments(mean=mean, std=std))

    def forward(self, actions: Tensor) -> Tensor:
        """Normalises actions."""
        encoded: Tensor = self.normalizer(actions)
        return encoded


class DiscreteActionEncoder(ActionEncoder):
    """For choices among a few: one-hot vectors go through as they are, however rare a choice was."""

    def __init__(self, *, action_dim: int, action_repeat: int) -> None:  # noqa: ARG002 - as every encoder is told
        super().__init__()

    def fit(self, moments: Moments) -> None:
        """Takes over nothing."""

    def forward(self, actions: Tensor) -> Tensor:
        """Returns the actions."""
        return actions
