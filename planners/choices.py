"""The list of actions that a discrete planner chooses from."""

from torch import Tensor

from planners.types import ActionBounds

MAX_CHOICES = 10_000
"""Most actions that are enumerated: all of them are tried, or have a probability, at every step."""


def check_levels(num_levels: int) -> None:
    """Raises `ValueError` if a planner's parameter describes no grid."""
    if num_levels < 2:
        raise ValueError(f"num_levels must be at least 2, got {num_levels}")


def enumerate_choices(bounds: ActionBounds, *, num_levels: int) -> Tensor:
    """Returns the choices that there are, or else the grid of the box: `[num_choices, action_dim]`.

    Raises:
        ValueError: The grid has more than `MAX_CHOICES` points.
    """
    action_dim = len(bounds.low)
    if bounds.choices is None and num_levels**action_dim > MAX_CHOICES:
        raise ValueError(
            f"num_levels must make a grid of at most {MAX_CHOICES} actions, got {num_levels} levels in each of "
            f"{action_dim} dimensions: {num_levels**action_dim} actions"
        )
    return bounds.grid(num_levels)
