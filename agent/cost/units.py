"""Costs of actions that do not depend on the units in which a robot takes them."""

from dataclasses import replace

from torch import Tensor

from agent.cost.types import Cost
from world_model.types import LatentGoal, LatentTrajectory


class InUnits:
    """A term that sees actions as they differ from doing nothing, in halves of each component's range.

    Args:
        term: Prices such actions.
        origin: `[action_dim]`, the action that does nothing, or the middle of the range where none does.
        half_range: `[action_dim]`, above 0.
    """

    def __init__(self, term: Cost, *, origin: Tensor, half_range: Tensor) -> None:
        self._term = term
        self._origin, self._half_range = origin, half_range

    def __call__(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:
        """Returns `[batch, num_samples]`; see `Cost`."""
        scaled = replace(
            trajectory,
            actions=self._scale(trajectory.actions),
            previous_action=self._scale(trajectory.previous_action),
        )
        return self._term(scaled, goal)

    def _scale(self, actions: Tensor) -> Tensor:
        """Returns model actions `[..., model_action_dim]`, which hold control actions one after the other, in units."""
        control_actions = actions.reshape(*actions.shape[:-1], -1, len(self._origin))
        scaled: Tensor = (control_actions - self._origin) / self._half_range
        return scaled.flatten(-2)
