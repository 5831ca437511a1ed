"""Several futures of one sequence of actions: under how many it is priced, and how they count."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Generator, Tensor

from jepa_mpc.ranges import check_count, check_number
from world_model.latent.futures import draw_latents

MEAN, WORST_SHARE, BEST = "mean", "worst_share", "best"


@dataclass(frozen=True, kw_only=True)
class Futures:
    """Under how many futures a sequence of actions is priced, and how they count.

    Attributes:
        num_futures: 1 for the most probable alone; more are drawn from the world model's prior.
        count: `MEAN`; `WORST_SHARE`, the mean of the worst ones (conditional value at risk, Rockafellar & Uryasev
            2000); or `BEST`.
        share: Of the futures that `WORST_SHARE` counts, above 0 and at most 1, which is their mean.

    Raises:
        ValueError: A value is out of its range.
    """

    num_futures: int
    count: Literal["mean", "worst_share", "best"]
    share: float

    def __post_init__(self) -> None:
        check_count("num_futures", self.num_futures, least=1)
        if self.count not in (MEAN, WORST_SHARE, BEST):
            raise ValueError(f"count must be one of {MEAN}, {WORST_SHARE}, {BEST}, got {self.count!r}")
        if self.num_futures == 1 and self.count != MEAN:
            raise ValueError(f"num_futures must be at least 2 where count={self.count}, got 1")
        check_number("share", self.share, above=0, most=1)

    def reduce(self, values: Tensor) -> Tensor:
        """Returns what futures count for together; more is worse.

        Args:
            values: `[batch, num_samples, num_futures, ...]`.

        Returns:
            `[batch, num_samples, ...]`.
        """
        if self.count == BEST:
            return values.amin(dim=2)
        if self.count == MEAN or self.share == 1:
            return values.mean(dim=2)
        counted = self.share * values.shape[2]
        num_worst = math.ceil(counted)
        worst = values.sort(dim=2, descending=True).values[:, :, :num_worst]
        last = 1 - (num_worst - counted)  # the least bad of them may count in part
        return (worst.sum(dim=2) - (1 - last) * worst[:, :, -1]) / counted

    def draw(self, generators: Sequence[Generator], *, horizon: int, latent_dim: int) -> "DrawnFutures | None":
        """Draws the luck of each problem, or None where the most probable future alone counts.

        Args:
            generators: Of each problem, on the CPU.
            horizon: Imagined model steps.
            latent_dim: Of the world model; see `WorldModel.latent_dim`.
        """
        if self.num_futures == 1 or latent_dim == 0:
            return None
        latents = draw_latents(generators, num_futures=self.num_futures, horizon=horizon, latent_dim=latent_dim)
        return DrawnFutures(futures=self, latents=latents)


@dataclass(frozen=True)
class DrawnFutures:
    """The luck under which all candidates of a problem are priced: common random numbers.

    Attributes:
        futures: How they count.
        latents: `[batch, num_futures, horizon, latent_dim]`, quantiles; see `WorldModel.rollout`.
    """

    futures: Futures
    latents: Tensor
