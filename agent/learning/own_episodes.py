"""What the agent lived through, as its memory holds it: data to learn from (LeCun 2022, section 3.2)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

import torch
from torch import Tensor

from agent.learning.experience import Experience
from agent.learning.hindsight import Transitions
from agent.learning.rows import choose, join
from agent.memory import ShortTermMemory


def seen_parts(memory: ShortTermMemory, sensors: Collection[str]) -> tuple[ShortTermMemory, ...]:
    """Returns the parts of an episode, each of at least two moments, throughout which all these sensors were seen.

    What the world model filled in elsewhere is imagined, and nothing to learn from.
    """
    runs = groupby(memory.moments, key=lambda moment: moment.seen.issuperset(sensors))
    parts = [tuple(moments) for all_seen, moments in runs if all_seen]
    return tuple(replace(memory, moments=moments) for moments in parts if len(moments) > 1)


@dataclass(frozen=True)
class OwnEpisodes:
    """Parts of remembered episodes, one after the other.

    Attributes:
        memories: Parts of episodes, each of at least two moments; see `seen_parts`.
        goal_parts: Sensor name to what a goal for it asks for of an embedding; see `WorldModel.goal_parts`.
        action_dim: Size of a control action.
    """

    memories: tuple[ShortTermMemory, ...]
    goal_parts: Mapping[str, slice]
    action_dim: int

    @property
    def longest(self) -> int:
        """Model steps of the longest part."""
        return max(len(memory.moments) for memory in self.memories) - 1

    def experience(self) -> Experience:
        """Returns them at the pace at which they were remembered: a model step is one step with its mean action."""
        return Experience(
            embeddings=torch.cat([memory.triples()[1] for memory in self.memories]),
            actions=torch.cat([self._actions(memory) for memory in self.memories]),
            lengths=torch.tensor([len(memory.moments) - 1 for memory in self.memories]),
            goal_parts=self.goal_parts,
            action_repeat=1,
        )

    def pursued(self, num_ahead: int) -> Transitions:
        """Returns every moment of which it is known what followed, each with the goal that was pursued until then.

        As long as that goal stays the same, the distance of `later` from it is the intrinsic cost in memory: these are
        the triples of time, state and intrinsic cost, joined over `num_ahead` model steps. How long it takes to the
        goal is not known.

        Args:
            num_ahead: Model steps from a moment to what is looked at later, at most `longest`.
        """
        parts = []
        for memory in self.memories:
            _, states, _ = memory.triples()
            num_moments = max(len(states) - num_ahead, 0)
            parts.append(
                Transitions(
                    embedding=states[:num_moments],
                    action=self._actions(memory)[:num_moments],
                    later=states[num_ahead:],
                    goal=choose(memory.goals(), torch.arange(num_moments)),
                    steps_to_goal=states.new_full((num_moments,), torch.inf),
                )
            )
        return join(parts)

    def _actions(self, memory: ShortTermMemory) -> Tensor:
        """Returns the mean control action of each model step, `[num_moments - 1, action_dim]`."""
        actions = torch.stack([moment.previous_action for moment in memory.moments[1:]])
        return actions.view(len(actions), -1, self.action_dim).mean(dim=1)
