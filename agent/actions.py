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


def idle_action(actions: Actions) -> NDArray[np.float64] | None:
    """Returns the action that does nothing, `[action_dim]`, or None where nothing does."""
    if actions.idle is None:
        return None
    if isinstance(actions, BoxActions):
        return np.array(actions.idle, np.float64)
    return _one_hot(actions.idle, actions.num_actions)


def still_action(actions: Actions, previous: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Returns what stops a robot: what does nothing, or else what it did before, which at least changes nothing.

    Args:
        actions: That the robot has.
        previous: `[action_dim]`, or None at the start of an episode, where the centre of the box, or the first of
            discrete actions, is as good as any.
    """
    idle = idle_action(actions)
    if idle is not None:
        return idle
    if previous is not None:
        return previous
    if isinstance(actions, BoxActions):
        return np.array([(low + high) / 2 for low, high in zip(actions.low, actions.high, strict=True)])
    return _one_hot(0, actions.num_actions)


def _one_hot(index: int, num_actions: int) -> NDArray[np.float64]:
    action = np.zeros(num_actions)
    action[index] = 1.0
    return action
