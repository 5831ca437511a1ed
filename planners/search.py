"""The loop of all sampling planners: ask for candidates, price them, tell what they cost, remember the best."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from planners.candidates import admit, best_plan, cheapest
from planners.evaluator import Evaluator
from planners.types import ActionBounds, Budget, Objective, Plan


class Strategy(Protocol):
    """What is particular to a sampling planner, for one call: what it asks, and what it learns when told."""

    def ask(self, noise: Tensor) -> Tensor:
        """Returns as many candidates as the noise has samples: `[batch, num_samples, horizon, action_dim]`.

        They lie inside the bounds, the mean first where the strategy has one.
        """
        ...

    def tell(self, candidates: Tensor, cost: Tensor, *, wanted: int) -> tuple[Tensor, Tensor]:
        """Learns what candidates cost, and returns the cheapest that it knows and its cost.

        Args:
            candidates: `[batch, num_samples, horizon, action_dim]`: what was asked last, in the first iteration after
                what is given from elsewhere.
            cost: `[batch, num_samples]`, finite or +inf.
            wanted: As many candidates were wanted; there are fewer where the budget cuts the iteration short.

        Returns:
            `[batch, 1, horizon, action_dim]` and `[batch, 1]`; any candidate with +inf where none has a cost.
        """
        ...

    def elites(self) -> Tensor:
        """Returns what the search came down to, `[batch, num_elites, horizon, action_dim]`; it was told something."""
        ...


def search(
    strategy: Strategy,
    objective: Objective,
    *,
    noise: Tensor,
    bounds: ActionBounds,
    budget: Budget,
    proposals: Sequence[Tensor],
    last_plan: Tensor,
    populations: Sequence[int],
    mean: Callable[[], Tensor] | None = None,
    only_means: bool = False,
) -> Plan:
    """Returns the cheapest of all candidates: the proposals, the last plan, and what the strategy asks.

    An iteration for which the budget has a single candidate left teaches nothing and is not begun, unless it is the
    first.

    Args:
        strategy: Is asked and told.
        objective: Prices candidates.
        noise: `[batch, num_iterations, num_samples, ...]`, of the strategy.
        bounds: Of the actions.
        budget: What may be spent.
        proposals: Each `[batch, horizon, action_dim]`; with the last plan they are the first candidates.
        last_plan: `[batch, horizon, action_dim]`, inside the bounds; the plan where nothing has a finite cost.
        populations: Candidates that each iteration wants, the first of them all.
        mean: Returns where the strategy has come to, `[batch, 1, horizon, action_dim]`, inside the bounds: the last
            evaluation is for that, unless it is the only one.
        only_means: Whether the plan is one of the means, the proposals and the last plan, none of them a random draw.

    Raises:
        ValueError: The noise or a proposal has the wrong shape, there are too many proposals for an iteration, or what
            the objective returns is no score of the candidates.
    """
    batch_size, horizon, _ = last_plan.shape
    num_samples, num_given = populations[0], len(proposals) + 1
    expected = (batch_size, len(populations), num_samples, horizon)
    if noise.shape[:4] != expected:
        raise ValueError(
            f"noise must be [batch, num_iterations, num_samples, horizon, ...] = {[*expected]}, got {[*noise.shape]}"
        )
    if num_given > num_samples:
        raise ValueError(
            f"num_samples must be at least {num_given} to hold {len(proposals)} proposals and the last plan, "
            f"got {num_samples}"
        )
    evaluator = Evaluator(objective, budget)
    given = torch.stack([*admit(proposals, bounds=bounds, batch_size=batch_size, horizon=horizon), last_plan], dim=1)
    finalists: list[tuple[Tensor, Tensor]] = []
    for population, draws in zip(populations, noise.unbind(1), strict=True):
        size = evaluator.grant(population, reserved=int(mean is not None))
        if size < 2 and (finalists or not size):
            break
        candidates = strategy.ask(draws[:, : max(size - num_given, 0)])
        if num_given:
            candidates = torch.cat([given[:, :size], candidates], dim=1)
        cost = evaluator.price(candidates).cost
        best = strategy.tell(candidates, cost, wanted=population)
        finalists.append(cheapest(candidates[:, : num_given + 1], cost[:, : num_given + 1]) if only_means else best)
        num_given = 0
    elites = strategy.elites() if finalists else given[:, :1]
    if mean is not None and evaluator.grant(1):
        last = mean() if finalists else given[:, :1]
        finalists.append((last, evaluator.price(last).cost))
    return best_plan(finalists, elites=elites, fallback=last_plan, num_evaluations=evaluator.num_evaluations)
