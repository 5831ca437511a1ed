"""Limits, one after the other, and what the robot may do behind all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from agent.actions import free_bounds, still_action
from agent.guardrails.track import follow
from agent.guardrails.types import Action, Circumstances, GuardedAction, Limit
from agent.guardrails.ways import Ways, way_of
from envs.spec import TaskSpec
from planners.types import ActionBounds


class Guardrails:
    """Keeps what is done within limits.

    The limits hold for what the robot does, not only for what it is told: commands keep away from each limit by the
    error with which the robot follows them. To *stop* is to do nothing, as soon as the limits behind allow, for as long
    as the reason lasts; a robot that cannot do nothing goes on as it did before.

    Args:
        spec: Of the task.
        limits: In the order in which they have their say; a later one may change what an earlier one let through.
        ways: How actions move the effector whose place the limits need; None where they need none.
        reckons: Whether the effector's place is reckoned while its sensor stands still; it always is while it reads
            nothing.
        latency: Control steps after which an action takes effect: limits of where the effector is are then about where
            it will be, by all that is under way.
    """

    def __init__(
        self, *, spec: TaskSpec, limits: Sequence[Limit], ways: Ways | None, reckons: bool, latency: int
    ) -> None:
        self.latency = latency
        self.limits = tuple(limits)
        self.sensors = tuple(dict.fromkeys(name for limit in limits for name in limit.sensors))
        self._actions = spec.actions
        self._ways, self._reckons = ways, reckons
        self._box = free_bounds(spec.actions)
        for limit in self.limits:
            self._box = limit.narrow(self._box)
        changes = [limit.most_change(spec.action_dim) for limit in self.limits]
        most = [torch.from_numpy(change).to(self._box.low) for change in changes if change is not None]
        self._max_change = torch.stack(most).amin(dim=0) if most else None

    def bounds(self, last: GuardedAction | None) -> ActionBounds:
        """Returns what will be let through, so that what is planned is what is executed, away from walls.

        Args:
            last: What was executed before, or None at the start of an episode.
        """
        previous = self._previous(last)
        if self._max_change is None or previous is None:
            return self._box
        before = torch.from_numpy(previous).to(self._box.low).clamp(self._box.low, self._box.high)
        return replace(self._box, max_change=self._max_change, previous_action=before[None])

    def guard(
        self,
        action: NDArray[np.float32],
        *,
        last: GuardedAction | None,
        readings: Mapping[str, NDArray[np.float32]],
        surprise: float,
    ) -> GuardedAction:
        """Returns an action that is allowed: the one given, to the last bit, wherever it is.

        Args:
            action: `[action_dim]`, anything.
            last: What was executed before, or None at the start of an episode, when the robot is at rest.
            readings: Sensor name to what it reads now, `[*sensor_shape]`; others than the limits' are ignored.
            surprise: Newest of short-term memory.
        """
        previous = self._previous(last)
        sent = self._sent(last)
        way = reading = track = ahead = None
        if self._ways is not None and previous is not None:
            way, reading = way_of(previous), self._ways.read(readings)
            known = None if last is None or (reading is not None and not self._reckons) else last.track
            done, *coming = [self._ways.longest * way_of(it.astype(np.float64)) for it in sent]
            track = follow(known, reading, done)
            ahead = None if track is None else replace(track, position=sum(coming, track.position))
        circumstances = Circumstances(
            previous=previous,
            previous_way=way,
            still=still_action(self._actions, previous),
            reading=reading,
            surprise=surprise,
            track=ahead,
        )
        guarded = action.astype(np.float64)
        reasons: dict[str, str] = {}
        for limit in self.limits:
            guarded, reason = limit.keep(guarded, circumstances)
            if reason is not None:
                reasons[limit.name] = reason
        return GuardedAction(
            action=guarded.astype(np.float32),
            interventions=tuple(reasons),
            reasons=tuple(reasons.values()),
            track=track,
            under_way=sent[1:],
        )

    def _sent(self, last: GuardedAction | None) -> tuple[NDArray[np.float32], ...]:
        """Returns what takes effect until now, first, and then what is under way, the newest last."""
        if last is not None:
            return (*last.under_way, last.action)
        return (still_action(self._actions, None).astype(np.float32),) * (self.latency + 1)

    def _previous(self, last: GuardedAction | None) -> Action | None:
        previous = self._actions.idle_action if last is None else last.action
        return None if previous is None else previous.astype(np.float64)
