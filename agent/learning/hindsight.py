"""Goals in hindsight: what an episode reached is what it might have wanted (Andrychowicz et al. 2017)."""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from agent.goal import goal_distance
from agent.learning.experience import Experience
from agent.learning.rows import choose
from envs.episodes.episode import DatasetError
from jepa_mpc.ranges import check_number
from world_model.types import LatentGoal


@dataclass(frozen=True)
class Hindsight:
    """Which goals are imagined for what was recorded.

    Attributes:
        future_share: Share of goals from the future of the same episode.
        any_time_share: Share of goals from any time of the same episode, the past too: where things were moved since,
            such a goal is near and not reached. The others come from any episode.
        task_share: Share of goals that ask for the task's own sensors; the others ask for a random choice of sensors.
        partial_share: Share of the former that ask for a random choice of the task's own sensors, and not for all of
            them: for tasks whose goals are partial.
    """

    future_share: float
    any_time_share: float
    task_share: float
    partial_share: float

    def __post_init__(self) -> None:
        for name in ("future_share", "any_time_share", "task_share", "partial_share"):
            check_number(f"learning.hindsight.{name}", getattr(self, name), least=0, most=1)
        if self.future_share + self.any_time_share > 1:
            raise ValueError(
                "learning.hindsight.future_share and any_time_share must sum to at most 1, "
                f"got {self.future_share} and {self.any_time_share}"
            )


@dataclass(frozen=True)
class Transitions:
    """Moments of episodes, what followed, and a goal for each.

    Attributes:
        embedding: `[batch, embed_dim]`.
        action: `[batch, action_dim]`, mean of the control actions of the model step that follows.
        later: `[batch, embed_dim]`, the embedding `num_ahead` model steps after `embedding`.
        goal: Of each.
        steps_to_goal: `[batch]`, model steps from `embedding` to the goal, as the sampler counts them; inf for a goal
            from elsewhere.
    """

    embedding: Tensor
    action: Tensor
    later: Tensor
    goal: LatentGoal
    steps_to_goal: Tensor


class HindsightSampler:
    """Draws moments, all equally likely, and goals for them; what follows never crosses the end of an episode.

    Args:
        experience: Embedded episodes.
        episodes: Which of them, `[num_chosen]`.
        hindsight: Which goals.
        task_sensors: What the task's own goals ask for.
        num_ahead: Model steps from a moment to what is looked at later, at least 1.
        reached_distance: Steps to a goal are counted to the first state within this rms distance of it, over what it
            asks for: 0 where that is the present one, as of a block that rests. None: to the very frame that the goal
            was taken from.

    Raises:
        DatasetError: No chosen episode is long enough, or nothing that the task asks for is perceived.
    """

    def __init__(
        self,
        experience: Experience,
        *,
        episodes: Tensor,
        hindsight: Hindsight,
        task_sensors: Collection[str],
        num_ahead: int,
        reached_distance: float | None = None,
    ) -> None:
        if not task_sensors:
            raise DatasetError(
                "the task's goals must ask for at least one of the sensors that the world model perceives, "
                f"{sorted(experience.goal_parts)}, got none"
            )
        self._experience = experience
        self._hindsight = hindsight
        self._ahead = num_ahead * experience.action_repeat
        self._reached_distance = reached_distance
        self._lengths = experience.lengths[episodes]
        long_enough = self._lengths >= self._ahead
        if not bool(long_enough.any()):
            raise DatasetError(
                f"looking {num_ahead} model steps ahead takes {self._ahead} control steps, of the {len(episodes)} "
                f"episodes at hand here the longest has {int(self._lengths.max())}: record longer episodes"
            )
        self._lengths = self._lengths[long_enough]
        self._first_frame = experience.first_frame[episodes][long_enough]
        self._first_action = experience.first_action[episodes][long_enough]
        self._ends = (self._lengths - self._ahead + 1).cumsum(0)  # of the moments of each episode, in one count
        self._task_masks = torch.stack([_mask(experience, [name]) for name in task_sensors])
        self._block_masks = torch.stack([_mask(experience, [name]) for name in experience.goal_parts])

    def sample(self, batch_size: int, generator: Generator) -> Transitions:
        """Draws transitions, with replacement; of a batch of none there are none."""
        repeat = self._experience.action_repeat
        moment = torch.randint(int(self._ends[-1]), (batch_size,), generator=generator)
        episode = torch.searchsorted(self._ends, moment, right=True)
        time = moment - torch.where(episode > 0, self._ends[episode - 1], 0)
        frame = self._first_frame[episode] + time
        steps = self._first_action[episode] + time
        actions = self._experience.actions[steps[:, None] + torch.arange(repeat)]

        # Goals
        steps_left = (self._lengths[episode] - time) // repeat
        steps_to_goal = 1 + (torch.rand(batch_size, generator=generator, dtype=torch.float32) * steps_left).long()
        origin = torch.rand(batch_size, generator=generator, dtype=torch.float32)
        is_own = origin < self._hindsight.future_share
        stays = origin < self._hindsight.future_share + self._hindsight.any_time_share
        other = torch.randint(len(self._lengths), (batch_size,), generator=generator)
        other = torch.where(stays, episode, other)
        other_time = (
            torch.rand(batch_size, generator=generator, dtype=torch.float32) * (self._lengths[other] + 1)
        ).long()
        goal_frame = torch.where(is_own, frame + repeat * steps_to_goal, self._first_frame[other] + other_time)
        mask = self._sample_masks(batch_size, generator)

        embeddings = self._experience.embeddings
        goal = LatentGoal(embedding=torch.where(mask, embeddings[goal_frame], 0.0), mask=mask)
        if self._reached_distance is not None:
            steps_to_goal = self._count_steps(frame, steps_to_goal, goal, self._reached_distance)
        return Transitions(
            embedding=embeddings[frame],
            action=actions.mean(dim=1),
            later=embeddings[frame + self._ahead],
            goal=goal,
            steps_to_goal=torch.where(is_own, steps_to_goal.to(embeddings.dtype), torch.inf),
        )

    def _count_steps(self, frame: Tensor, most: Tensor, goal: LatentGoal, reached_distance: float) -> Tensor:
        """Returns after how many model steps, `most` of them, a goal is first reached, `[batch]`."""
        longest = int(most.max()) if len(most) else 0
        steps = torch.minimum(torch.arange(longest + 1), most[:, None])  # [batch, longest + 1]
        way = self._experience.embeddings[frame[:, None] + self._experience.action_repeat * steps]
        goals = choose(goal, torch.arange(len(steps)).repeat_interleave(steps.shape[1]))
        is_reached = goal_distance(way.flatten(0, 1), goals).view_as(steps) < reached_distance**2
        is_reached[:, -1] = True  # what lies elsewhere is not on this way
        return is_reached.int().argmax(dim=1)

    def _sample_masks(self, batch_size: int, generator: Generator) -> Tensor:
        """Draws what goals ask for: `[batch, embed_dim]`, never nothing."""
        chosen = _choose_blocks(self._block_masks, batch_size, generator)
        is_task = torch.rand(batch_size, generator=generator, dtype=torch.float32) < self._hindsight.task_share
        task_mask = self._task_masks.any(dim=0)
        if self._hindsight.partial_share > 0:
            is_part = torch.rand(batch_size, generator=generator, dtype=torch.float32) < self._hindsight.partial_share
            part = _choose_blocks(self._task_masks, batch_size, generator)
            task_mask = torch.where(is_part[:, None], part, task_mask)
        return torch.where(is_task[:, None], task_mask, chosen)


def _choose_blocks(blocks: Tensor, batch_size: int, generator: Generator) -> Tensor:
    """Draws choices of blocks, which are masks `[num_blocks, embed_dim]`: `[batch, embed_dim]`, never nothing."""
    asked = torch.rand(batch_size, len(blocks), generator=generator, dtype=torch.float32) < 0.5
    one = torch.randint(len(blocks), (batch_size, 1), generator=generator)
    asked |= ~asked.any(dim=1, keepdim=True) & (torch.arange(len(blocks)) == one)  # who asks for nothing, for one
    return (asked[:, :, None] & blocks).any(dim=1)


def _mask(experience: Experience, sensors: Collection[str]) -> Tensor:
    mask = torch.zeros(experience.embeddings.shape[1], dtype=torch.bool)
    for name in sensors:
        mask[experience.goal_parts[name]] = True
    return mask
