"""What a configurator sees and what it decides (LeCun 2022, section 3.1). Read this first."""

from dataclasses import dataclass
from typing import Protocol

from agent.cost.types import CostModule
from agent.futures import Futures
from agent.perception import Attention
from agent.pursuit import SubGoals
from jepa_mpc.ranges import check_count
from planners.types import Budget

PLANNING, REACTIVE, HYBRID = "planning", "reactive", "hybrid"
MODES = (PLANNING, REACTIVE, HYBRID)
"""How an actor may act: by planning, by its policy alone, or by planning with the policy's proposal."""

STILL = "still"
"""What an actor does that has given up on its goal."""


@dataclass(frozen=True)
class Situation:
    """Where the agent stands at a model step, before it decides what to do.

    Attributes:
        surprise: Newest of short-term memory.
        goal_distance: Mean squared distance to the goal in embedding space, over the dimensions that it asks for.
        cost_to_go: Model steps to the goal, discounted as the critic learned them (see `Critic`): the steps that are
            left only where these are few. The mean of the critic's ensemble, at least 0; None without a critic.
        doubt: Its std over the ensemble, in the same unit; None without a critic, or where it has a single member.
        steps_on_goal: Model steps on this goal, this one included.
        steps_without_progress: Model steps since the goal distance or the cost-to-go last improved.
        filled_sensors: Those whose blocks the world model had to fill in.
        goal_index: Of the goal that is pursued, from 0.
        num_goals: Of the episode.
    """

    surprise: float
    goal_distance: float
    cost_to_go: float | None
    doubt: float | None
    steps_on_goal: int
    steps_without_progress: int
    filled_sensors: tuple[str, ...]
    goal_index: int
    num_goals: int


@dataclass(frozen=True)
class Configuration:
    """What a configurator decided for one model step.

    Attributes:
        rule: Name of the rule that decided.
        cost: The cost module with its weights set.
        mode: One of `MODES`.
        horizon: Imagined model steps, at least 1.
        budget: What the planner may spend.
        attention: What perception looks at in the next model step; at this one it has looked already.
        futures: Under how many futures a plan is priced, and how they count.

    Raises:
        ValueError: There is no such mode, or the horizon is not at least 1.
    """

    rule: str
    cost: CostModule
    mode: str
    horizon: int
    budget: Budget
    attention: Attention
    futures: Futures

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        check_count("horizon", self.horizon, least=1)


@dataclass(frozen=True)
class Choice:
    """What was decided at a model step, for the record.

    Attributes:
        step: Control step at which it was decided.
        rule: Name of the rule that decided.
        mode: One of `MODES`, or `STILL`.
        horizon: Imagined model steps.
        num_evaluations: Spent on the plan, at most what was granted; 0 where none was made.
        event: What became of the goal that was pursued until here: "reached", "stuck", or None for neither.
        reason: Why it counts as stuck, and what follows; None where it does not.
        situation: In which it was decided, the goal being the one that is pursued from here on.
    """

    step: int
    rule: str
    mode: str
    horizon: int
    num_evaluations: int
    event: str | None
    reason: str | None
    situation: Situation


class Configurator(Protocol):
    """Decides, step by step, what is worth striving for, how far to look ahead, what to spend, and where to look."""

    @property
    def sub_goals(self) -> SubGoals:
        """When to go on to the next goal."""
        ...

    @property
    def configurations(self) -> tuple[Configuration, ...]:
        """All that it may decide."""
        ...

    @property
    def needs_critic(self) -> bool:
        """Whether it decides by what a critic says."""
        ...

    def configure(self, situation: Situation) -> Configuration:
        """Returns what to do in a situation."""
        ...
