"""Braking straight in steps that grow shorter by the same length each: how far it leads, and from how fast.

Lengths are of steps, in any one unit. A step of length `s`, and braking after it by `c` a step, leads on by
`s + (s - c) + (s - 2 c) + ...` while something is left: `(n + 1) s - c n (n + 1) / 2` with `n = floor(s / c)`.
"""

import math


def way_to_rest(step: float, max_change: float) -> float:
    """Returns how far a step and braking after it lead.

    Args:
        step: Length of the step, at least 0.
        max_change: By which the next may be shorter, above 0.
    """
    num_braking = math.floor(step / max_change)
    return (num_braking + 1) * step - max_change * num_braking * (num_braking + 1) / 2


def longest_step(way: float, max_change: float) -> float:
    """Returns the step that leads, with braking after it, exactly this far: the inverse of `way_to_rest`."""
    num_braking = math.floor((math.sqrt(1 + 8 * way / max_change) - 1) / 2)
    return (way + max_change * num_braking * (num_braking + 1) / 2) / (num_braking + 1)
