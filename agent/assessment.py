"""Where the agent stands: how far its goal is, and whether the next one is due."""

from collections.abc import Mapping, Sequence

from torch import Tensor

from agent.configurator.types import Situation
from agent.cost.types import Critic
from agent.goal import goal_distance
from agent.perception import Percept
from agent.pursuit import Pursuit, SubGoals
from world_model.types import LatentGoal


def assess(
    percept: Percept,
    pursuit: Pursuit,
    *,
    distance: float,
    goals: Sequence[LatentGoal],
    blocks: Mapping[str, slice],
    sub_goals: SubGoals,
    critic: Critic | None,
) -> tuple[Pursuit, Situation]:
    """Returns how far the pursuit of the goals has come, and the situation that the configurator sees.

    Args:
        percept: Of this model step.
        pursuit: At the last one.
        distance: To the goal that was pursued until here; see `goal_distance`.
        goals: Of the episode, each of one problem.
        blocks: Sensor name to its place in an embedding.
        sub_goals: When to go on to the next.
        critic: Says how far the goal is, or None.
    """
    cost_to_go, doubt = _judge(percept.embedding, goals[pursuit.goal_index], critic)
    followed = sub_goals.follow(
        pursuit,
        distance=distance,
        seen=not any(bool(goals[pursuit.goal_index].mask[0, blocks[name]].any()) for name in percept.filled),
        cost_to_go=cost_to_go,
        num_goals=len(goals),
    )
    if followed.goal_index != pursuit.goal_index:
        goal = goals[followed.goal_index]
        distance = float(goal_distance(percept.embedding[None], goal))
        cost_to_go, doubt = _judge(percept.embedding, goal, critic)
    return followed, Situation(
        surprise=percept.surprise,
        goal_distance=distance,
        cost_to_go=cost_to_go,
        doubt=doubt,
        steps_on_goal=followed.steps_on_goal,
        steps_without_progress=followed.steps_without_progress,
        filled_sensors=tuple(percept.filled),
        goal_index=followed.goal_index,
        num_goals=len(goals),
    )


def _judge(embedding: Tensor, goal: LatentGoal, critic: Critic | None) -> tuple[float | None, float | None]:
    """Returns the critic's cost-to-go, at least 0, and its doubt about it, discounted model steps.

    One member alone has no doubt to tell of.
    """
    if critic is None:
        return None, None
    opinions = critic(embedding[None, None], goal).flatten()  # [num_members]
    return max(float(opinions.mean()), 0.0), float(opinions.std(correction=0)) if len(opinions) > 1 else None
