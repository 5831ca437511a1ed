"""What a robot's own motion explains of a change of the embedding, and what it leaves: contact, without any truth."""

from dataclasses import dataclass

import torch
from torch import Tensor

from world_model.training.robust import trust, usual_square

_NUM_ROUNDS = 4
_RIDGE = 1e-5


@dataclass(frozen=True)
class OwnMotion:
    """A linear guess of how the embedding changes in one model step.

    Actions move the robot at every step and things at few of them. So a fit that steps with a large residual hardly
    count in finds what the robot alone does: reweighted least squares with Cauchy's weights (Holland & Welsch 1977).

    Attributes:
        weight: `[1 + embed_dim + action_dim, embed_dim]`, of 1, the embedding before, and the action.
    """

    weight: Tensor

    @classmethod
    def fit(cls, before: Tensor, actions: Tensor, after: Tensor) -> "OwnMotion":
        """Fits recorded model steps.

        Args:
            before: `[rows, embed_dim]`.
            actions: `[rows, action_dim]`, encoded.
            after: `[rows, embed_dim]`.
        """
        known, changes = _known(before, actions), (after - before).double()
        identity = torch.eye(known.shape[1], dtype=known.dtype)
        weights, sizes = torch.ones(len(known), dtype=known.dtype), changes.square().sum(dim=1)
        for _ in range(_NUM_ROUNDS):
            trusted = known * weights[:, None]
            weight = torch.linalg.solve(
                trusted.T @ known / len(known) + _RIDGE * identity, trusted.T @ changes / len(known)
            )
            squares = (changes - known @ weight).square().sum(dim=1)
            weights = trust(squares, usual_square(squares, beside=sizes))
        return cls(weight)

    def unexplained(self, before: Tensor, actions: Tensor, after: Tensor) -> Tensor:
        """Returns what the robot's own motion does not explain of each change, `[rows, embed_dim]`; see `fit`."""
        return (after - before).double() - _known(before, actions) @ self.weight


def _known(before: Tensor, actions: Tensor) -> Tensor:
    return torch.cat([torch.ones(len(before), 1), before, actions], dim=1).double()
