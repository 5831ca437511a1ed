"""What became of an episode: success, or what went wrong, told from the way to the goal alone, whatever the task."""

import numpy as np
from numpy.typing import NDArray

from agent.evaluation.episodes import EvaluatedEpisode

SUCCESS = "success"

OUTCOMES = {
    SUCCESS: "stays at the goal to the end",
    "drifted_away": "reached the goal, and left it again",
    "ended_early": "the environment ended the episode in failure",
    "never_touched": "what was to be moved never moved",
    "went_past": "came nearer to the goal, and went on past it",
    "stuck_at_limit": "does not come nearer while the guardrails hold the robot back",
    "still_on_its_way": "was still coming nearer as the time was over",
    "stopped_short": "came to rest away from the goal",
}
"""Outcome to what it means: a success first, then all kinds of failure; of several that fit, the first counts."""

_RESTS = 0.02
"""What changes by less of its largest distance does not move."""

_GOES_AWAY = 0.1
"""What leaves its nearest place by more of its largest distance goes away from the goal."""

_SMALL = {"rad": 0.5}
"""Unit to a distance that is never taken for a long way: an object that is turned right from the start wobbles."""


def outcome(episode: EvaluatedEpisode) -> str:
    """Returns what became of an episode, a key of `OUTCOMES`."""
    record, left = episode.record, way_left(episode)
    tail = left[-(len(left) // 3 + 1) :]
    held_back = [bool(names) for names in episode.limits[-len(tail) :]]
    nearer = tail[0] - tail[-1]
    if record.success_at_end:
        return SUCCESS
    if record.success_once:
        return "drifted_away"
    if record.terminated:
        return "ended_early"
    if np.ptp(left) < _RESTS:
        return "never_touched"
    if left[-1] - left.min() > _GOES_AWAY and left[0] - left.min() > _RESTS:
        return "went_past"
    if nearer < _RESTS and held_back and np.mean(held_back) >= 0.5:
        return "stuck_at_limit"
    return "still_on_its_way" if nearer >= _RESTS else "stopped_short"


def way_left(episode: EvaluatedEpisode) -> NDArray[np.float64]:
    """Returns how much of the way is left before the first control step and after each, as a share of its longest.

    Of several distances, as a place and an angle, the one of which the larger share is left counts at each moment.

    Returns:
        `[num_steps + 1]`, in 0..1.
    """
    shares = []
    for name, distances in episode.distances.items():
        longest = max(*distances, _SMALL.get(episode.units[name], 0.0), np.finfo(np.float64).tiny)
        shares.append(np.asarray(distances) / longest)
    return np.asarray(np.max(shares, axis=0), np.float64)
