"""Learning on the job: between episodes the critics go on learning from what the agent lived through."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Generator, nn

from agent.actor import Actor
from agent.cost.critic import CriticNetwork
from agent.goal import GoalReadings
from agent.host import own_settings
from agent.learning.critic import CriticLearning, SlowCopy
from agent.learning.experience import Experience
from agent.learning.hindsight import Hindsight, HindsightSampler, Transitions
from agent.learning.own_episodes import OwnEpisodes, seen_parts
from agent.learning.rows import choose, join
from agent.memory import ShortTermMemory
from jepa_mpc.ranges import check_count, check_number
from world_model.training.fit import TrainingStopped


@dataclass(frozen=True)
class OnlineSettings:
    """How critics go on learning.

    Attributes:
        num_steps: Of the optimiser after each episode.
        batch_size: Transitions of one step.
        learning_rate: Of Adam, constant.
        clip_norm: Longest gradient.
        own_share: Share of transitions from own episodes; the others are recorded ones, lest those be forgotten.
        pursued_share: Share of own transitions with the goal that was pursued; the others have goals in hindsight.
        num_episodes: Own episodes that are learned from, the newest.
    """

    num_steps: int
    batch_size: int
    learning_rate: float
    clip_norm: float
    own_share: float
    pursued_share: float
    num_episodes: int

    def __post_init__(self) -> None:
        for name in ("num_steps", "batch_size", "num_episodes"):
            check_count(f"online.{name}", getattr(self, name), least=1)
        for name in ("learning_rate", "clip_norm"):
            check_number(f"online.{name}", getattr(self, name), above=0)
        check_number("online.own_share", self.own_share, above=0, most=1)
        check_number("online.pursued_share", self.pursued_share, least=0, most=1)

    def num_own_and_pursued(self, *, has_recorded: bool) -> tuple[int, int]:
        """Returns how many transitions of a batch are own ones, and how many of these have the goal pursued."""
        num_own = math.ceil(self.own_share * self.batch_size) if has_recorded else self.batch_size
        return num_own, round(self.pursued_share * num_own)


class OnlineLearner:
    """Lets critics go on learning, each with its own loss.

    The same episodes in the same order give the same weights.

    Args:
        critics: By name; their weights change where they are.
        learning: What each is asked to predict.
        recorded: What they have learned from, and nothing that was held out; None where it is not at hand.
        goal_parts: Sensor name to what a goal for it asks for of an embedding; see `WorldModel.goal_parts`.
        action_dim: Size of a control action.
        task_sensors: What the task's own goals ask for.
        hindsight: Which goals are imagined.
        settings: How they go on learning.
        seed: Of all randomness.

    Raises:
        ValueError: There is no critic, or no batch would say anything to one.
        DatasetError: The recorded episodes are too short.
    """

    def __init__(
        self,
        *,
        critics: Mapping[str, CriticNetwork],
        learning: Mapping[str, CriticLearning],
        recorded: Experience | None,
        goal_parts: Mapping[str, slice],
        action_dim: int,
        task_sensors: Collection[str],
        hindsight: Hindsight,
        settings: OnlineSettings,
        seed: int,
    ) -> None:
        if not critics:
            raise ValueError("actor.learn_online=true needs a critic that learns: add one, as critic=[cost_to_go]")
        _, num_pursued = settings.num_own_and_pursued(has_recorded=recorded is not None)
        if num_pursued == settings.batch_size:
            for name in critics:
                if learning[name].counted_within is not None:
                    raise ValueError(
                        f"the critic '{name}' learns from counted steps, which only goals in hindsight have, and of "
                        f"online.batch_size={settings.batch_size} transitions all would "
                        f"have the goal pursued: choose a smaller online.pursued_share than {settings.pursued_share}"
                    )
        self._settings = settings
        self._hindsight, self._task_sensors = hindsight, task_sensors
        self._pupils = [
            _Pupil(critic, learning[name], learning_rate=settings.learning_rate, clip_norm=settings.clip_norm)
            for name, critic in critics.items()
        ]
        self._recorded = [
            None if recorded is None else self._sampler(recorded, pupil.learning) for pupil in self._pupils
        ]
        self._goal_parts, self._action_dim = goal_parts, action_dim
        self._lived: tuple[tuple[ShortTermMemory, ...], ...] = ()  # the parts of each episode
        self._generator = Generator().manual_seed(seed)

    def learn(self, memory: ShortTermMemory) -> None:
        """Takes some steps of the optimiser for every critic, now that an episode is over.

        An episode in which nothing that was seen followed on anything that was seen teaches nothing.

        Args:
            memory: Of that episode.

        Raises:
            TrainingStopped: A loss is not finite.
        """
        parts = seen_parts(memory, self._goal_parts)
        if not parts:
            return
        self._lived = (*self._lived, parts)[-self._settings.num_episodes :]
        episodes = OwnEpisodes(
            memories=tuple(chain.from_iterable(self._lived)), goal_parts=self._goal_parts, action_dim=self._action_dim
        )
        experience = episodes.experience()
        for pupil, recorded in zip(self._pupils, self._recorded, strict=True):
            num_ahead = pupil.learning.num_ahead
            if episodes.longest >= num_ahead:
                own, pursued = self._sampler(experience, pupil.learning), episodes.pursued(num_ahead)
                pupil.learn(self._sample(own, pursued, recorded) for _ in range(self._settings.num_steps))

    def _sampler(self, experience: Experience, learning: CriticLearning) -> HindsightSampler:
        return HindsightSampler(
            experience,
            episodes=torch.arange(len(experience.lengths)),
            hindsight=self._hindsight,
            task_sensors=self._task_sensors,
            num_ahead=learning.num_ahead,
            reached_distance=learning.counted_within,
        )

    def _sample(self, own: HindsightSampler, pursued: Transitions, recorded: HindsightSampler | None) -> Transitions:
        """Draws a batch: own moments with goals in hindsight, own ones with the goals pursued, and recorded ones."""
        settings = self._settings
        num_own, num_pursued = settings.num_own_and_pursued(has_recorded=recorded is not None)
        rows = torch.randint(len(pursued.embedding), (num_pursued,), generator=self._generator)
        parts = [own.sample(num_own - num_pursued, self._generator), choose(pursued, rows)]
        if recorded is not None:
            parts.append(recorded.sample(settings.batch_size - num_own, self._generator))
        return join(parts)


class OnlineActor(Actor):
    """An actor whose critics learn from each episode before the next one begins.

    What it does in an episode depends on those before it.

    Args:
        learner: Of its critics.
        parts: Of the actor; see `Actor`.
    """

    def __init__(self, *, learner: OnlineLearner, **parts: Any) -> None:
        super().__init__(**parts)
        self._learner = learner

    def reset(self, goal: GoalReadings | Sequence[GoalReadings], *, seed: int) -> None:
        """Learns from the episode that ends, and starts another; see `Actor.reset`.

        Raises:
            GoalError: A goal is none that can be pursued; then the episode goes on, and nothing is learned.
            TrainingStopped: A loss is not finite.
        """
        ended = self._state
        super().reset(goal, seed=seed)
        if ended is not None:
            with own_settings():
                self._learner.learn(ended.memory)


class _Pupil:
    """A critic that learns for a while, and is frozen in between.

    Args:
        critic: Its weights change where they are.
        learning: What it is asked to predict.
        learning_rate: Of Adam.
        clip_norm: Longest gradient.
    """

    def __init__(
        self, critic: CriticNetwork, learning: CriticLearning, *, learning_rate: float, clip_norm: float
    ) -> None:
        self.learning = learning
        self._critic, self._clip_norm = critic, clip_norm
        self._slow = SlowCopy(critic, learning.target_decay)
        self._optimizer = torch.optim.Adam(critic.parameters(), lr=learning_rate)

    def learn(self, batches: Iterable[Transitions]) -> None:
        """Takes a step for each batch."""
        self._critic.train().requires_grad_(True)
        with torch.enable_grad():
            for transitions in batches:
                self._step(transitions)
        self._critic.eval().requires_grad_(False)

    def _step(self, transitions: Transitions) -> None:
        loss = self.learning.loss(self._critic, self._slow.module, transitions)
        if not math.isfinite(loss.item()):
            raise TrainingStopped(
                f"the loss of a critic that learns online is {loss.item()}: choose a smaller online.learning_rate"
            )
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._critic.parameters(), self._clip_norm)
        self._optimizer.step()
        self._slow.follow()
