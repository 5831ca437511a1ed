"""Mode 1 learns to do at once what mode 2 would search for: it lowers the same cost of the same imagined futures."""

from typing import Any, ClassVar

from torch import Tensor, nn

from agent.cost.types import CostModule
from agent.learning.hindsight import Transitions
from agent.learning.task import LearningTask
from agent.proposal import imagine_policy
from planners.types import ActionBounds
from world_model.jepa import JEPA
from world_model.types import LatentContext, LatentTrajectory


class RefinementTask(LearningTask):
    """The policy's training by gradients through world model and cost: amortised inference (LeCun 2022, section 3.1.3).

    It descends from where it starts, so that a policy which has imitated plans, and knows on which side to go around
    an obstacle, ends better than a fresh one.

    Args:
        policy: That has imitated.
        world_model: Imagines; frozen.
        cost: Prices; frozen.
        violation_weight: What it costs to exceed a limit of a cost term by all of it.
        bounds: What will be let through at the beginning of an episode, of one problem: it is what is imagined.
        still: `[action_dim]`, the control action before an episode; see `still_action`.
        horizon: Imagined model steps.
        others: Further arguments of `LearningTask`.
    """

    section: ClassVar[str] = "policy"

    def __init__(
        self,
        *,
        policy: nn.Module,
        world_model: JEPA,
        cost: CostModule,
        violation_weight: float,
        bounds: ActionBounds,
        still: Tensor,
        horizon: int,
        **others: Any,
    ) -> None:
        super().__init__(module=policy, num_ahead=1, **others)
        self._world_model, self._bounds, self._horizon = world_model, bounds, horizon
        self._still = still
        self._cost, self._violation_weight = cost, violation_weight

    def _losses(self, transitions: Transitions) -> dict[str, Tensor]:
        """Returns the mean cost of following the policy, each time as if an episode began there, and its violations."""
        model = self._world_model
        context = LatentContext.at_rest(
            transitions.embedding, context_length=model.least_context, still=self._still.repeat(model.action_repeat)
        )
        actions, embeddings = imagine_policy(
            self.module,
            model,
            context,
            transitions.goal,
            bounds=self._bounds,
            horizon=self._horizon,
            action_repeat=model.action_repeat,
        )
        trajectory = LatentTrajectory(
            embeddings=embeddings[:, None],
            actions=actions.repeat(1, 1, model.action_repeat)[:, None],
            previous_action=context.previous_action,
            start=transitions.embedding,
        )
        cost = self._cost(trajectory, transitions.goal).mean()
        violation = self._cost.violations(trajectory, transitions.goal).relu().sum(dim=2).mean()
        return {"loss": cost + self._violation_weight * violation, "cost": cost, "violation": violation}
