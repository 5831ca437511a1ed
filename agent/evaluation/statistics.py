"""Rates with their uncertainty, and latencies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest


@dataclass(frozen=True)
class Rate:
    """A share of episodes with its Wilson 95 % interval.

    Attributes:
        rate: Successes over episodes.
        low: Lower bound.
        high: Upper bound.
        n: Episodes.
    """

    rate: float
    low: float
    high: float
    n: int


def success_rate(successes: Sequence[bool]) -> Rate:
    """Returns the share of successes, of at least one episode (Wilson 1927, as in `scipy.stats`)."""
    interval = binomtest(sum(successes), len(successes)).proportion_ci(confidence_level=0.95, method="wilson")
    return Rate(
        rate=sum(successes) / len(successes), low=float(interval.low), high=float(interval.high), n=len(successes)
    )


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Returns p50, p90 and p99 of the values, in their unit."""
    p50, p90, p99 = np.percentile(np.asarray(values), [50, 90, 99])
    return {"p50": float(p50), "p90": float(p90), "p99": float(p99)}
