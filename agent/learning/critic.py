"""What critics are asked to predict: how far the goal is in model steps, or an intrinsic cost to come."""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from agent.cost.critic import CriticNetwork
from agent.goal import goal_distance
from agent.learning.cost_to_go import CostToGo, judge
from agent.learning.hindsight import Transitions
from agent.learning.task import LearningTask
from jepa_mpc.ranges import check_count, check_number


class CriticLearning(Protocol):
    """A loss for a critic."""

    @property
    def cost_to_go(self) -> CostToGo | None:
        """How the critic's answers count model steps to the goal, or None where they do not."""
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
    Kostrikov et al. 2022, without the action). What V means, and that it is 0 at a goal, says `CostToGo`.

    Attributes:
        discount: Of a model step.
        expectile: Weight of a surprise for the better; that of one for the worse is what is left to 1. Above 0.5.
        reached_distance: A state is at a goal within this rms distance in embedding space.
        target_decay: Share of itself that the slow copy keeps at each step.
    """

    num_ahead: ClassVar[int] = 1
    counted_within: ClassVar[None] = None

    discount: float
    expectile: float
    reached_distance: float
    target_decay: float

    def __post_init__(self) -> None:
        for name in ("discount", "expectile", "target_decay"):
            check_number(f"learning.{name}", getattr(self, name), above=0.5 if name == "expectile" else 0, below=1)
        check_number("learning.reached_distance", self.reached_distance, above=0)

    @property
    def cost_to_go(self) -> CostToGo:
        """What the critic predicts."""
        return CostToGo(discount=self.discount, reached_distance=self.reached_distance)

    def loss(self, critic: nn.Module, target: nn.Module, transitions: Transitions) -> Tensor:
        """Returns the mean expectile loss of the temporal differences."""
        embedding, goal, rule = transitions.embedding, transitions.goal, self.cost_to_go
        with torch.no_grad():
            followed = rule.after_step(target, transitions)
            wanted = torch.where(rule.is_reached(embedding, goal), 0.0, followed)
        difference = wanted - judge(critic, embedding, goal)
        weight = _lean(difference, self.expectile)
        return (weight * difference.square()).mean()


@dataclass(frozen=True)
class ObservedSteps:
    """The model steps that were seen to pass until a goal was reached; no target depends on the critic.

    The mean of what is seen, an expectile of 0.5, would be the pace of exploration. A higher one leans to the shorter
    ways.

    Attributes:
        expectile: Weight of a way shorter than expected; that of a longer one is what is left to 1.
        reached_distance: A state is at a goal within this rms distance in embedding space.
    """

    num_ahead: ClassVar[int] = 1
    target_decay: ClassVar[None] = None

    expectile: float
    reached_distance: float

    @property
    def cost_to_go(self) -> CostToGo:
        """What the critic predicts: plain model steps."""
        return CostToGo(discount=1.0, reached_distance=self.reached_distance)

    @property
    def counted_within(self) -> float:
        """The distance at which a goal is reached."""
        return self.reached_distance

    def __post_init__(self) -> None:
        check_number("learning.reached_distance", self.reached_distance, above=0)
        check_number("learning.expectile", self.expectile, above=0, below=1)

    def loss(self, critic: nn.Module, target: nn.Module, transitions: Transitions) -> Tensor:  # noqa: ARG002
        """Returns the mean expectile loss; a goal from another episode says nothing of how long it takes."""
        is_known = torch.isfinite(transitions.steps_to_goal)
        wanted = torch.where(is_known, transitions.steps_to_goal, 0.0)
        difference = wanted - judge(critic, transitions.embedding, transitions.goal)
        weight = _lean(difference, self.expectile) * is_known
        return (weight * difference.square()).mean()


@dataclass(frozen=True)
class DeltaStep:
    """The intrinsic cost some model steps ahead: ‖IC(s_{τ+δ}, g) - TC(s_τ, g)‖² (LeCun 2022, section 3.2).

    The intrinsic cost is the squared distance to the goal, and the target never depends on the critic.

    Attributes:
        num_ahead: δ, model steps.
    """

    cost_to_go: ClassVar[None] = None
    counted_within: ClassVar[None] = None
    target_decay: ClassVar[None] = None

    num_ahead: int

    def __post_init__(self) -> None:
        check_count("learning.num_ahead", self.num_ahead, least=1)

    def loss(self, critic: nn.Module, target: nn.Module, transitions: Transitions) -> Tensor:  # noqa: ARG002
        """Returns the mean squared error."""
        intrinsic_cost = goal_distance(transitions.later, transitions.goal)
        return (intrinsic_cost - judge(critic, transitions.embedding, transitions.goal)).square().mean()


def _lean(difference: Tensor, expectile: float) -> Tensor:
    """Returns what each difference counts: one below 0 as much as the expectile, another what is left to 1."""
    return torch.where(difference < 0, torch.full_like(difference, expectile), 1.0 - expectile)


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
