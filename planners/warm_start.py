"""Moving a planner's state along the horizon: what replanning keeps of the last plan."""

from torch import Tensor
from torch.nn.functional import pad


def shift_steps(steps: Tensor, num_steps: int, *, fill: float) -> Tensor:
    """Drops the first steps of `[batch, ..., horizon, action_dim]` and appends as many of value `fill`.

    Raises:
        ValueError: `num_steps` is negative.
    """
    if num_steps < 0:
        raise ValueError(f"num_steps must be at least 0, got {num_steps}")
    num_dropped = min(num_steps, steps.shape[-2])
    return pad(steps, (0, 0, -num_dropped, num_dropped), value=fill)


def resize_steps(steps: Tensor, horizon: int, *, fill: float) -> Tensor:
    """Cuts `[batch, ..., any horizon, action_dim]` to the horizon, or appends steps of value `fill`.

    Raises:
        ValueError: `horizon` is less than 1.
    """
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1, got {horizon}")
    return pad(steps, (0, 0, 0, horizon - steps.shape[-2]), value=fill)
