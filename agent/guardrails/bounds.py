"""Narrowing what a planner may ask for."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from agent.guardrails.types import Action
from planners.types import ActionBounds


def limit_size(bounds: ActionBounds, high: float) -> ActionBounds:
    """Returns bounds of which no component is larger than `high`."""
    low, high_ = bounds.low.clamp_min(-high), bounds.high.clamp_max(high)
    previous = bounds.previous_action
    return replace(
        bounds, low=low, high=high_, previous_action=None if previous is None else previous.clamp(low, high_)
    )


def limit_change(bounds: ActionBounds, max_change: Tensor, previous: Action) -> ActionBounds:
    """Returns bounds within which no action differs by more from the one before, the first from `previous`."""
    if bounds.max_change is not None:
        max_change = torch.minimum(max_change, bounds.max_change)
    before = torch.from_numpy(previous.astype(np.float32)).to(bounds.low.dtype)
    return replace(bounds, max_change=max_change, previous_action=torch.clamp(before, bounds.low, bounds.high)[None])
