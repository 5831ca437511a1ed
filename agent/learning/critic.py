"""What critics are asked to predict: the steps that are left to a goal, or an intrinsic cost to come."""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from agent.cost.critic import CriticNetwork
from agent.goal import goal_distance
from agent.learning.hindsight import Transitions
from agent.learning.task import LearningTask
from world_model.ranges import check_count, check_number
from world_model.types import LatentGoal


class CriticLearning(Protocol):
    """A loss for a critic.

    Attributes:
        predicts_steps: Whether the critic's answers are model steps to the goal.
    """

    predicts_steps: ClassVar[bool]

    @property
    def discount(self) -> float:
        """By how much less each later model step counts in what is predicted, in (0, 1]."""
        ...

    @property
    def num_ahead(self) -> int:
        """How many model steps after a moment the loss looks at what followed."""
        ...

    @property
    def counted_within(self) -> float | None:
        """Within which rms distance of a goal its steps are counted to an end, or None where they are not asked for."""
        ...

    @property
    def target_decay(self) -> float | None:
        """Share of itself that a slow copy of the critic keeps at each step, or None where no copy is asked for."""
        ...

    def loss(self, critic: nn.Module, target: nn.Module, transitions: Transitions) -> Tensor:
        """Returns the loss, a scalar.

        Args:
            critic: What learns.
            target: Its slow copy; the critic itself where there is none.
            transitions: A batch, with goals.
        """
        ...


@dataclass(frozen=True)
class ExpectileTD:
    """The model steps that the best of what was seen needs, by temporal differences.

    A departure from targets that never depend on the critic: V(s, g) follows 1 + discount * V(s', g), which joins
    pieces of different episodes, and an expectile leans to the luckier of what can follow (implicit Q-learning,
    Kostrikov et al. 2022, without the action). At a goal V is 0.

    Attributes:
        discount: Of a model step; V is (1 - discount^k) / (1 - discount) at k steps from the goal.
        expectile: Weight of a surprise for the better; that of one for the worse is what is left to 1. Above 0.5.
        reached_distance: A state is at a goal within this rms distance in embedding space.
        target_decay: Share of itself that the slow copy keeps at each step.
    """

    predicts_steps: ClassVar[bool] = True
    num_ahead: ClassVar[int] = 1
    counted_within: ClassVar[None] = None

    discount: float
    expectile: float
    reached_distance: float
    target_decay: float

    def __post_init__(self) -> None:
        for name in ("discount", "expectile", "target_decay"):
            check_number(f"learning.{name}", getattr(self, name), above=0.5 if name == "expectile" else 0)
            if getattr(self, name) >= 1:
                raise ValueError(f"learning.{name} must be below 1, got {getattr(self, name)}")
        check_number("learning.reached_distance", self.reached_distance, above=0)

    def loss(self, critic: nn.Module, target: nn.Module, transitions: Transitions) -> Tensor:
        """Returns the mean expectile loss of the temporal differences."""
        goal = transitions.goal
        with torch.no_grad():
            later = self.discount * _judge(target, transitions.later, goal).clamp_min(0.0)
            later = torch.where(self._is_reached(transitions.later, goal), 0.0, later)
            wanted = torch.where(self._is_reached(transitions.embedding, goal), 0.0, 1.0 + later)
        difference = wanted - _judge(critic, transitions.embedding, goal)
        weight = torch.where(difference < 0, self.expectile, 1.0 - self.expectile)
        return (weight * difference.square()).mean()

    def _is_reached(self, embeddings: Tensor, goal: LatentGoal) -> Tensor:
        return goal_distance(embeddings, goal) < self.reached_distance**2


@dataclass(frozen=True)
class ObservedSteps:
    """The model steps that were seen to pass until a goal was reached; no target depends on the critic.

    The mean of what is seen, an expectile of 0.5, would be the pace of exploration. A higher one leans to the shorter
    ways.

    Attributes:
        expectile: Weight of a way shorter than expected; that of a longer one is what is left to 1.
        reached_distance: A state is at a goal within this rms distance in embedding space.
    """

    predicts_steps: ClassVar[bool] = True
    num_ahead: ClassVar[int] = 1
    target_decay: ClassVar[None] = None
    discount: ClassVar[float] = 1.0

    expectile: float
    reached_distance: float

    @property
    def counted_within(self) -> float:
        """The distance at which a goal is reached."""
        return self.reached_distance

    def __post_init__(self) -> None:
        check_number("learning.reached_distance", self.reached_distance, above=0)
        check_number("learning.expectile", self.expectile, above=0)
        if self.expectile >= 1:
            raise ValueError(f"learning.expectile must be below 1, got {self.expectile}")

    def loss(self, critic: nn.Module, target: nn.Module, transitions: Transitions) -> Tensor:  # noqa: ARG002
        """Returns the mean expectile loss; a goal from another episode says nothing of how long it takes."""
        is_known = torch.isfinite(transitions.steps_to_goal)
        wanted = torch.where(is_known, transitions.steps_to_goal, 0.0)
        difference = wanted - _judge(critic, transitions.embedding, transitions.goal)
        weight = torch.where(difference < 0, self.expectile, 1.0 - self.expectile) * is_known
        return (weight * difference.square()).mean()


@dataclass(frozen=True)
class DeltaStep:
    """The intrinsic cost some model steps ahead: ‖IC(s_{τ+δ}, g) - TC(s_τ, g)‖² (LeCun 2022, section 3.2).

    The intrinsic cost is the squared distance to the goal, and the target never depends on the critic.

    Attributes:
        num_ahead: δ, model steps.
    """

    predicts_steps: ClassVar[bool] = False
    counted_within: ClassVar[None] = None
    target_decay: ClassVar[None] = None
    discount: ClassVar[float] = 1.0

    num_ahead: int

    def __post_init__(self) -> None:
        check_count("learning.num_ahead", self.num_ahead, least=1)

    def loss(self, critic: nn.Module, target: nn.Module, transitions: Transitions) -> Tensor:  # noqa: ARG002
        """Returns the mean squared error."""
        intrinsic_cost = goal_distance(transitions.later, transitions.goal)
        return (intrinsic_cost - _judge(critic, transitions.embedding, transitions.goal)).square().mean()


class SlowCopy:
    """A copy of a critic that follows it slowly, for targets that do not run away.

    Args:
        critic: What is followed.
        decay: Share of itself that the copy keeps at each step; None for no copy, but the critic itself.

    Attributes:
        module: The copy.
    """

    def __init__(self, critic: nn.Module, decay: float | None) -> None:
        self._critic, self._decay = critic, decay
        self.module = critic if decay is None else copy.deepcopy(critic).requires_grad_(False)

    def follow(self) -> None:
        """Comes nearer to the critic."""
        if self._decay is not None:
            with torch.no_grad():
                for slow, fast in zip(self.module.parameters(), self._critic.parameters(), strict=True):
                    slow.lerp_(fast, 1.0 - self._decay)


def _judge(critic: nn.Module, embeddings: Tensor, goal: LatentGoal) -> Tensor:
    """Returns what a critic says of one state for each goal, `[num_members, batch]`."""
    opinions: Tensor = critic(embeddings[:, None], goal)[:, :, 0]
    return opinions


class CriticTask(LearningTask):
    """The training of one critic; see `LearningTask`.

    Args:
        critic: With its first weights.
        learning: What it is asked to predict.
        others: Further arguments of `LearningTask`.
    """

    section: ClassVar[str] = "critic"

    def __init__(self, *, critic: CriticNetwork, learning: CriticLearning, **others: Any) -> None:
        self._critic, self._learning = critic, learning
        self._slow = SlowCopy(critic, learning.target_decay)
        modules = {"critic": critic} | ({} if self._slow.module is critic else {"target": self._slow.module})
        super().__init__(
            module=nn.ModuleDict(modules),
            num_ahead=learning.num_ahead,
            reached_distance=learning.counted_within,
            **others,
        )

    def finish_step(self) -> None:
        """Lets the slow copy follow."""
        self._slow.follow()

    @property
    def learner(self) -> nn.Module:
        """The critic, without its slow copy."""
        return self._critic

    def _losses(self, transitions: Transitions) -> dict[str, Tensor]:
        return {"loss": self._learning.loss(self._critic, self._slow.module, transitions)}
