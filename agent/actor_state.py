"""What an actor carries from step to step: one value that can be inspected and kept."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.configurator.types import Choice
from agent.guardrails import GuardedAction
from agent.memory import ShortTermMemory
from agent.perception import Attention, Percept
from agent.pursuit import Pursuit
from planners.types import Plan
from world_model.types import LatentContext, LatentGoal


@dataclass(frozen=True)
class ActorState:
    """All that an actor carries from step to step.

    Attributes:
        seed: Of the episode; with `step` it seeds the planner's noise.
        step: Control steps since the reset.
        goals: What is pursued, one after the other.
        pursuit: How far that has come.
        percept: What was perceived at the newest model step, or None before the first.
        context: What the world model knows of the episode so far; None before the first model step.
        foreseen: What it expects to know when the newest decision takes effect: where imagination starts. It is the
            context, unless the world is late; None before the first decision.
        memory: What was perceived, done and foreseen.
        planner_state: What the planner carries on, or None where it knows nothing of this goal.
        plan: The newest plan, or None before the first.
        command: `[action_dim]`, the control action that is held for the model step under way.
        sent: `[num_sent, action_dim]`, the last control actions, the newest last; the still action where there was none
            yet. See `Timing`.
        guarded: The last executed control action and what the guardrails changed, or None at the start.
        attention: What the configurator has told perception, or None before the first model step.
        choices: What was decided, by model step; the newest, as many as memory keeps moments.
    """

    seed: int
    step: int
    goals: tuple[LatentGoal, ...]
    pursuit: Pursuit
    percept: Percept | None
    context: LatentContext | None
    foreseen: LatentContext | None
    memory: ShortTermMemory
    planner_state: Any
    plan: Plan | None
    command: NDArray[np.float32]
    sent: NDArray[np.float32]
    guarded: GuardedAction | None
    attention: Attention | None
    choices: tuple[Choice, ...]

    @property
    def goal(self) -> LatentGoal:
        """What is pursued now."""
        return self.goals[self.pursuit.goal_index]
