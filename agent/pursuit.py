"""The pursuit of goals, one after the other: when one is reached, when one is stuck, and what then."""

import math
from dataclasses import dataclass, replace

from jepa_mpc.ranges import check_count, check_number

REACHED, STUCK = "reached", "stuck"
CONTINUE, STOP = "continue", "stop"


@dataclass(frozen=True)
class Pursuit:
    """How far the pursuit of the goals has come.

    Attributes:
        goal_index: Of the goal that is pursued, from 0.
        steps_on_goal: Model steps on it, this one included.
        steps_without_progress: Model steps since the goal distance or the cost-to-go last improved.
        best_distance: Least goal distance that counted as progress.
        best_cost_to_go: Least cost-to-go that counted as progress.
        reached: The goal is reached at this step.
        event: What became of the goal at this step: `REACHED`, `STUCK`, or None for neither.
        reason: Why it counts as stuck, and what follows; None where it does not.
        ended: The actor has given up and holds still.
    """

    goal_index: int = 0
    steps_on_goal: int = 0
    steps_without_progress: int = 0
    best_distance: float = math.inf
    best_cost_to_go: float = math.inf
    reached: bool = False
    event: str | None = None
    reason: str | None = None
    ended: bool = False


@dataclass(frozen=True, kw_only=True)
class SubGoals:
    """When to go on to the next goal.

    Attributes:
        reached_distance: A goal is reached when the rms distance to it, in embedding space over the dimensions that it
            asks for, is below this, and was seen to be: none of it was filled in.
        patience: Model steps without progress after which a goal is stuck, or None for never.
        min_progress: Share by which the goal distance or the cost-to-go must fall below its least value so far to be
            progress, in [0, 1).
        when_stuck: "continue" goes on to the next goal, "stop" ends the episode: the actor holds still.

    Raises:
        ValueError: A value is out of its range.
    """

    reached_distance: float
    patience: int | None
    min_progress: float
    when_stuck: str

    def __post_init__(self) -> None:
        check_number("reached_distance", self.reached_distance, above=0)
        check_count("patience", self.patience, least=1, null=True)
        check_number("min_progress", self.min_progress, least=0, below=1)
        if self.when_stuck not in (CONTINUE, STOP):
            raise ValueError(f"when_stuck must be {CONTINUE} or {STOP}, got {self.when_stuck!r}")

    def follow(
        self, pursuit: Pursuit, *, distance: float, seen: bool, cost_to_go: float | None, num_goals: int
    ) -> Pursuit:
        """Returns how far the pursuit has come at the next model step.

        Args:
            pursuit: At the last one, or a new one.
            distance: Mean squared distance to the goal that was pursued; see `Situation`.
            seen: Every sensor that this goal asks for was seen; what is only imagined reaches no goal.
            cost_to_go: How far it is, see `Situation`, or None without a critic.
            num_goals: Of the episode; the last is kept when it is reached.
        """
        pursuit = replace(pursuit, event=None, reason=None)
        if pursuit.ended:
            return pursuit
        last = pursuit.goal_index + 1 >= num_goals
        if math.sqrt(distance) < self.reached_distance and (seen or pursuit.reached):
            if last:
                event = None if pursuit.reached else REACHED
                return Pursuit(pursuit.goal_index, pursuit.steps_on_goal + 1, reached=True, event=event)
            return Pursuit(pursuit.goal_index + 1, steps_on_goal=1, event=REACHED)
        pursuit = self._progressed(pursuit, distance, math.inf if cost_to_go is None else cost_to_go)
        if self.patience is None or pursuit.steps_without_progress < self.patience:
            return pursuit
        stuck = (
            f"goal {pursuit.goal_index + 1} of {num_goals} is stuck: neither its distance nor its cost-to-go improved "
            f"for {self.patience} model steps"
        )
        if self.when_stuck == STOP:
            return replace(pursuit, event=STUCK, reason=f"{stuck}; the robot holds still", ended=True)
        if last:
            return Pursuit(
                pursuit.goal_index, pursuit.steps_on_goal, event=STUCK, reason=f"{stuck}; it is tried on, as the last"
            )
        return Pursuit(pursuit.goal_index + 1, steps_on_goal=1, event=STUCK, reason=f"{stuck}; on to the next")

    def _progressed(self, pursuit: Pursuit, distance: float, cost_to_go: float) -> Pursuit:
        """Counts a step on the goal, and whether it was progress."""
        share = 1.0 - self.min_progress
        nearer = distance < share * pursuit.best_distance
        cheaper = cost_to_go < share * pursuit.best_cost_to_go
        return replace(
            pursuit,
            steps_on_goal=pursuit.steps_on_goal + 1,
            steps_without_progress=0 if nearer or cheaper else pursuit.steps_without_progress + 1,
            best_distance=distance if nearer else pursuit.best_distance,
            best_cost_to_go=cost_to_go if cheaper else pursuit.best_cost_to_go,
            reached=False,
        )
