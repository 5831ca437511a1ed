"""The configurator that decides the same at every step."""

from collections.abc import Mapping

from agent.configurator.types import Configuration, Situation
from agent.cost.types import Cost, CostModule
from agent.perception import Attention
from agent.pursuit import SubGoals
from planners.types import Budget


class FixedConfigurator:
    """Decides the same at every step.

    Args:
        terms: The cost terms at hand, by name.
        weights: Their weights u_i and v_i; see `CostModule`.
        limits: Of those that are constraints; see `CostModule`.
        mode: How to act, one of `MODES`.
        horizon: Imagined model steps, at least 1.
        num_evaluations: Candidates that the planner may price at a step, or None for the planner's own number.
        milliseconds: Time that the planner may take at a step, or None for any; see `Budget`.
        chunk_size: Candidates that are priced at once, or None for all; see `Budget`.
        attention: What perception is told.
        sub_goals: When to go on to the next goal.

    Raises:
        ValueError: A value is out of its range, as the sentence says.
    """

    needs_critic = False

    def __init__(
        self,
        *,
        terms: Mapping[str, Cost],
        weights: Mapping[str, float],
        limits: Mapping[str, float],
        mode: str,
        horizon: int,
        num_evaluations: int | None,
        milliseconds: float | None,
        chunk_size: int | None,
        attention: Attention,
        sub_goals: SubGoals,
    ) -> None:
        self.sub_goals = sub_goals
        self.configurations = (
            Configuration(
                rule="always",
                cost=CostModule(terms=terms, weights=weights, limits=limits),
                mode=mode,
                horizon=horizon,
                budget=Budget(num_evaluations, milliseconds, chunk_size),
                attention=attention,
            ),
        )

    def configure(self, situation: Situation) -> Configuration:  # noqa: ARG002
        """Returns what to do in a situation."""
        return self.configurations[0]
