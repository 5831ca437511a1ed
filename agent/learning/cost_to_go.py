"""How far a goal is, in model steps, and that it is no longer far once it is reached: one rule for all who learn."""

from dataclasses import dataclass

import torch
from torch import Tensor

from agent.cost.types import Critic
from agent.goal import goal_distance
from agent.learning.hindsight import Transitions
from world_model.types import LatentGoal


@dataclass(frozen=True)
class CostToGo:
    """What a critic's answer V means: model steps to the goal, each later one counting less.

    k steps from the goal V is 1 + discount + ... + discount^(k - 1) = (1 - discount^k) / (1 - discount), and never more
    than 1 / (1 - discount): near the goal about the steps that are left, and far from it hardly another for one more.
    With a discount of 1 it is the steps themselves. At the goal it is 0, and time costs nothing there.

    Attributes:
        discount: Of a model step, in (0, 1].
        reached_distance: A state is at a goal within this rms distance in embedding space.
    """

    discount: float
    reached_distance: float

    def is_reached(self, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        """Returns whether states `[batch, embed_dim]` are at their goals, `[batch]`."""
        return goal_distance(embeddings, goal) < self.reached_distance**2

    def value(self, critic: Critic, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        """Returns V of states `[batch, embed_dim]`: at least 0, and 0 at the goal; `[num_members, batch]`."""
        return torch.where(self.is_reached(embeddings, goal), 0.0, judge(critic, embeddings, goal).clamp_min(0.0))

    def after_step(self, critic: Critic, transitions: Transitions) -> Tensor:
        """Returns what the recorded step turned V into, itself included, `[num_members, batch]`.

        It is 1 + discount * V(s', g), and without the 1 where the goal was reached before it: resting there is free.
        """
        goal = transitions.goal
        later = self.discount * self.value(critic, transitions.later, goal)
        return torch.where(self.is_reached(transitions.embedding, goal), later, 1.0 + later)

    def advantage(self, critic: Critic, transitions: Transitions) -> Tensor:
        """Returns by how many model steps more than the step took the goal came nearer, `[num_members, batch]`.

        0 for a step on the best way and for resting at the goal, below it for a step astray and for leaving the goal.
        """
        here = self.value(critic, transitions.embedding, transitions.goal)
        return here - self.after_step(critic, transitions)


def judge(critic: Critic, embeddings: Tensor, goal: LatentGoal) -> Tensor:
    """Returns what a critic says of one state for each goal, `[num_members, batch]`."""
    return critic(embeddings[:, None], goal)[:, :, 0]
