"""What an agent may do, in the robot's own units: the bounds of its actions, and how it does nothing."""

import numpy as np
import torch
from numpy.typing import NDArray

from envs.spec import Actions, BoxActions
from planners.types import ActionBounds


def free_bounds(actions: Actions) -> ActionBounds:
    """Returns the bounds of a robot that nothing limits further: its box, or its choices."""
    if isinstance(actions, BoxActions):
        low, high = (torch.tensor(corner, dtype=torch.float32, device="cpu") for corner in (actions.low, actions.high))
        return ActionBounds(low=low, high=high)
    choices = torch.eye(actions.num_actions, dtype=torch.float32, device="cpu")
    return ActionBounds(low=torch.zeros_like(choices[0]), high=torch.ones_like(choices[0]), choices=choices)


def still_action(actions: Actions, previous: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Returns what stops a robot: what does nothing, or else what it did before, which at least changes nothing.

    Args:
        actions: That the robot has.
        previous: `[action_dim]`, or None at the start of an episode, where the centre of the box, or the first of
            discrete actions, is as good as any.
    """
    if actions.idle_action is not None:
        return actions.idle_action.astype(np.float64)
    if previous is not None:
        return previous
    if isinstance(actions, BoxActions):
        return np.array([(low + high) / 2 for low, high in zip(actions.low, actions.high, strict=True)])
    return actions.one_hot(0).astype(np.float64)
