"""The configurator: from the situation to what the other modules should do."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.cost.types import Cost, CostModule
from agent.memory import ShortTermMemory
from planners.types import Budget


@dataclass(frozen=True)
class Configuration:
    """What the configurator chose for one step.

    Attributes:
        cost: The cost module with its weights set.
        horizon: Imagined model steps.
        budget: What the planner may spend.
    """

    cost: CostModule
    horizon: int
    budget: Budget


class Configurator(Protocol):
    """Decides, step by step, what is worth striving for, how far to look ahead, and how much to spend."""

    def configure(self, memory: ShortTermMemory) -> Configuration:
        """Returns the configuration for the next step, given what is remembered."""
        ...


class FixedConfigurator:
    """Chooses the same at every step.

    Args:
        terms: The cost terms at hand, by name.
        weights: Their weights u_i; see `CostModule`.
        limits: Of those that are constraints; see `CostModule`.
        horizon: Imagined model steps, at least 1.
        num_evaluations: Candidates that the planner may price at a step, or None for the planner's own number.
        milliseconds: Time that the planner may take at a step, or None for any; see `Budget`.
        chunk_size: Candidates that are priced at once, or None for all; see `Budget`.
    """

    def __init__(
        self,
        *,
        terms: Mapping[str, Cost],
        weights: Mapping[str, float],
        limits: Mapping[str, float],
        horizon: int,
        num_evaluations: int | None,
        milliseconds: float | None,
        chunk_size: int | None,
    ) -> None:
        if horizon < 1:
            raise ValueError(f"horizon must be at least 1, got {horizon}")
        self._configuration = Configuration(
            cost=CostModule(terms=terms, weights=weights, limits=limits),
            horizon=horizon,
            budget=Budget(num_evaluations, milliseconds, chunk_size),
        )

    def configure(self, memory: ShortTermMemory) -> Configuration:  # noqa: ARG002
        """Returns the configuration for the next step, given what is remembered."""
        return self._configuration
