"""Descents within bounds: coordinates in which all that is allowed is a box, however little an action may change.

The box of a step is what can be reached from the action before: `previous - max_change .. previous + max_change`, where
that lies inside the bounds, and all of them where there is no such limit. The *place* of an action is where in its box
it lies, -1 at the lower end and 1 at the upper. Every sequence that is allowed has its places, and any places in
[-1, 1] are allowed, each free of the others. So a step that would go too far is only cut where it does, and what a late
action gains from an early one reaches it as a gradient: projecting the actions themselves would be right for plain
gradient descent alone, not where a step has another length in each dimension, as with Adam.
"""

import torch
from torch import Tensor

from planners.types import ActionBounds


def by_place(gradient: Tensor, actions: Tensor, bounds: ActionBounds) -> Tensor:
    """Returns the gradient with respect to the places, where `gradient` is that with respect to the actions.

    Args:
        gradient: `[batch, num_samples, horizon, action_dim]`.
        actions: Where it was taken, of the same shape, inside the bounds.
        bounds: What is allowed.
    """
    if bounds.max_change is None:
        return bounds.half_range * gradient
    low, high = _reachable(_before(actions, bounds), bounds)
    share = (actions - low) / (high - low)
    follows = torch.lerp((low > bounds.low).to(share), (high < bounds.high).to(share), share)  # by the one before
    total = list(gradient.unbind(dim=2))
    for step, follow in reversed(list(enumerate(follows.unbind(dim=2)))[1:]):
        total[step - 1] = torch.addcmul(total[step - 1], follow, total[step])
    return (high - low) / 2 * torch.stack(total, dim=2)


def move(actions: Tensor, change: Tensor, bounds: ActionBounds) -> Tensor:
    """Returns the actions whose places differ by `change`, as far as there is room: inside the bounds to the last bit.

    Args:
        actions: `[batch, num_samples, horizon, action_dim]`, inside the bounds.
        change: Of their places, of the same shape.
        bounds: What is allowed.
    """
    if bounds.max_change is None or bounds.previous_action is None:
        return bounds.clip(torch.addcmul(actions, bounds.half_range, change))
    low, high = _reachable(_before(actions, bounds), bounds)
    shares = ((actions - low) / (high - low) + change / 2).clamp(0.0, 1.0)
    action, moved = bounds.previous_action[:, None], []
    for share in shares.unbind(dim=2):
        low, high = _reachable(action, bounds)
        action = torch.lerp(low, high, share).clamp(low, high)
        moved.append(action)
    return torch.stack(moved, dim=2)


def _before(actions: Tensor, bounds: ActionBounds) -> Tensor:
    """Returns the action before each."""
    assert bounds.previous_action is not None
    first = bounds.previous_action[:, None, None].expand_as(actions[:, :, :1])
    return torch.cat([first, actions[:, :, :-1]], dim=2)


def _reachable(previous: Tensor, bounds: ActionBounds) -> tuple[Tensor, Tensor]:
    """Returns the least and the most that may follow an action."""
    assert bounds.max_change is not None
    return (
        torch.maximum(previous - bounds.max_change, bounds.low),
        torch.minimum(previous + bounds.max_change, bounds.high),
    )
