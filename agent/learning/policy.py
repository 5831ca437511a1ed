"""How the reactive policy learns: from recorded actions that turned out well, and from mode 2's plans."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from agent.cost.types import Critic
from agent.learning.cost_to_go import CostToGo
from agent.learning.hindsight import Transitions
from agent.learning.practice import Demonstrations
from agent.learning.task import LearningTask
from agent.policy import MLPPolicy
from jepa_mpc.ranges import check_count, check_number

_IMITATION = 2

_Loss = TypeVar("_Loss", Tensor, float)


@dataclass(frozen=True)
class PolicyLearning:
    """What a policy is asked to do.

    Advantage-weighted regression (Peng et al. 2019): recorded actions count exp(A / temperature), where the advantage
    A = V(s, g) - (1 + discount * V(s', g)) is by how many model steps more than one the critic saw the goal come
    nearer; what holds at the goal itself says `CostToGo`.

    Attributes:
        temperature: Model steps of advantage over which an action's weight grows by a factor e.
        max_weight: Of an action.
        imitation_weight: Of the loss on mode 2's plans, beside that on recorded actions.
        num_imitated: First steps of a plan that are imitated.
        violation_weight: What it costs to exceed a limit of a cost term by all of it, where the policy is refined.
    """

    temperature: float
    max_weight: float
    imitation_weight: float
    num_imitated: int
    violation_weight: float

    def __post_init__(self) -> None:
        for name in ("temperature", "max_weight"):
            check_number(f"policy.learning.{name}", getattr(self, name), above=0)
        for name in ("imitation_weight", "violation_weight"):
            check_number(f"policy.learning.{name}", getattr(self, name), least=0)
        check_count("policy.learning.num_imitated", self.num_imitated, least=1)

    def weights(self, critic: Critic, transitions: Transitions, *, cost_to_go: CostToGo) -> Tensor:
        """Returns how much each recorded action counts, `[batch]`, where the critic predicts that cost-to-go."""
        advantage = cost_to_go.advantage(critic, transitions).mean(dim=0)
        return torch.exp(advantage / self.temperature).clamp(max=self.max_weight)


class PolicyTask(LearningTask):
    """The training of a policy; see `LearningTask`.

    Args:
        policy: With its first weights.
        critic: Of the cost-to-go, trained.
        cost_to_go: What it predicts.
        learning: What is asked of the policy.
        demonstrations: Mode 2's plans.
        others: Further arguments of `LearningTask`.
    """

    section: ClassVar[str] = "policy"

    def __init__(
        self,
        *,
        policy: MLPPolicy,
        critic: Critic,
        cost_to_go: CostToGo,
        learning: PolicyLearning,
        demonstrations: Demonstrations,
        **others: Any,
    ) -> None:
        super().__init__(module=policy, num_ahead=1, **others)
        self._policy = policy
        self._critic, self._cost_to_go, self._learning = critic, cost_to_go, learning
        self._shown, self._held_out_plans = demonstrations.split(self._settings.validation_fraction)

    def losses(self, step: int) -> Mapping[str, Tensor]:
        """Returns the loss on a new batch of recorded actions and of demonstrations, and its parts."""
        shown = self._shown.sample(self._settings.batch_size, self._generator(_IMITATION, step))
        return self._join(super().losses(step)["loss"], self._imitation(shown))

    def validate(self, step: int) -> dict[str, float]:
        """Returns the losses on held-out episodes and plans."""
        with torch.no_grad():
            imitation = float(self._imitation(self._held_out_plans))
        return self._join(super().validate(step)["loss"], imitation)

    def _imitation(self, shown: Demonstrations) -> Tensor:
        """Returns the mean squared error of imitating plans."""
        return self._policy.errors(shown.embedding, shown.goal, shown.action).square().mean()

    def _join(self, regression: _Loss, imitation: _Loss) -> dict[str, _Loss]:
        """Returns the loss and its parts."""
        loss = regression + self._learning.imitation_weight * imitation
        return {"loss": loss, "regression": regression, "imitation": imitation}

    def _losses(self, transitions: Transitions) -> dict[str, Tensor]:
        with torch.no_grad():
            weights = self._learning.weights(self._critic, transitions, cost_to_go=self._cost_to_go)
        errors = self._policy.errors(transitions.embedding, transitions.goal, transitions.action).square().mean(dim=1)
        return {"loss": (weights * errors).mean() / weights.mean()}
