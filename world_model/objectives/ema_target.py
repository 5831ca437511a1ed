"""Targets from a slow copy of the encoders (BYOL, Grill 2020; I-JEPA, Assran 2023)."""

import copy

import torch
from torch import Generator, Tensor

from jepa_mpc.ranges import check_number
from world_model.jepa import JEPA
from world_model.objectives.base import LatentBatch, Regularizer
from world_model.types import Observation


class EMATarget(Regularizer):
    """Predicts the embeddings of an exponential moving average of the encoders, without a gradient through them.

    Args:
        decay: Share of itself that the copy keeps at each step, in [0, 1).
    """

    def __init__(self, *, decay: float) -> None:
        super().__init__()
        check_number("decay", decay, least=0)
        if decay >= 1:
            raise ValueError(f"decay must be below 1, got {decay}")
        self._decay = decay

    def extra_repr(self) -> str:
        """Returns the hyper-parameters."""
        return f"decay={self._decay}"

    def attach(self, model: JEPA) -> None:
        """Copies the encoders."""
        self.target = copy.deepcopy(model).requires_grad_(False)
        del self.target.dynamics, self.target.latent

    @torch.no_grad()
    def targets(self, model: JEPA, observation: Observation, embeddings: Tensor) -> Tensor:  # noqa: ARG002
        """Returns the slow copy's embeddings, `[batch, time, embed_dim]`."""
        return self.target.encode(observation)

    def loss(self, batch: LatentBatch, generator: Generator) -> Tensor:  # noqa: ARG002 - targets alone
        """Returns 0: the targets do the work."""
        return batch.embeddings.new_zeros(())

    @torch.no_grad()
    def update(self, model: JEPA) -> None:
        """Moves the copy towards the model."""
        for slow, fast in zip(self.target.encoders.parameters(), model.encoders.parameters(), strict=True):
            slow.lerp_(fast, 1 - self._decay)
