"""Mode 1: from perception straight to action, without imagining anything (LeCun 2022, section 3.1)."""

from typing import Protocol

from torch import Tensor

from world_model.types import LatentGoal


class ReactivePolicy(Protocol):
    """Answers an embedding and a goal with an action, at once."""

    def __call__(self, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        """Returns the control action to hold for one model step, `[batch, action_dim]` in [-1, 1].

        Args:
            embeddings: `[batch, embed_dim]`.
            goal: Of the batch.
        """
        ...
