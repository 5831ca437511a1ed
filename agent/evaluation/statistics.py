"""Rates with their uncertainty, of one agent, over several trained ones and between two, and latencies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Rate:
    """A share of episodes with its exact 95 % interval.

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
    """Returns the share of successes; of no episodes it is 0, anywhere in 0..1.

    The interval is that of Clopper and Pearson (1934), as in `scipy.stats`: whatever the true rate, at least 95 % of
    such intervals hold it. Wilson's (1927) is narrower and does not keep that: of 100 episodes each, 92 % of those at a
    true rate of 99 %.
    """
    return _rate(successes, interval="exact")


def _rate(successes: Sequence[bool], *, interval: Literal["exact", "wilson"]) -> Rate:
    return _rate_of(sum(successes), len(successes), interval)


@lru_cache(maxsize=4096)
def _rate_of(num_successes: int, n: int, interval: Literal["exact", "wilson"]) -> Rate:
    if n == 0:
        return Rate(rate=0.0, low=0.0, high=1.0, n=0)
    from scipy.stats import binomtest  # takes half a second, which who only acts need not wait for

    bounds = binomtest(num_successes, n).proportion_ci(confidence_level=0.95, method=interval)
    return Rate(rate=num_successes / n, low=float(bounds.low), high=float(bounds.high), n=n)


def episodes_to_decide(threshold: float) -> int | None:
    """Returns how many episodes it takes for the lower bound to reach a threshold, all of them successes.

    Args:
        threshold: In 0..1.

    Returns:
        A number, or None where no number does: the bound stays below 1.
    """
    if threshold >= 1:
        return None
    num_episodes = max(1, math.floor(math.log(0.025) / math.log(threshold))) if threshold > 0 else 1
    return num_episodes if best_bound(num_episodes) >= threshold else num_episodes + 1


def best_bound(num_episodes: int) -> float:
    """Returns the lower bound of success where all of so many episodes, at least one, succeed."""
    return _rate_of(num_episodes, num_episodes, "exact").low


def pooled_rate(seeds: Sequence[Sequence[bool]]) -> Rate:
    """Returns the share of successes over several trainings, each judged on episodes of its own.

    Episodes of one training are no independent draws of what the recipe comes to. So the interval holds two others: the
    exact one of all episodes, which is right where trainings do not differ, and Student's t over the rates of the
    trainings, arcsine transformed, which grows with how much they do. With three trainings of 300 episodes it holds the
    true mean rate in at least 94 % of all cases where that lies two standard deviations of the trainings from 0 and
    from 1, or where they do not differ; `python -m benchmarks.agent.coverage` counts.

    Args:
        seeds: Successes by training, at least one episode each.
    """
    overall = success_rate([success for seed in seeds for success in seed])
    if len(seeds) < 2:
        return overall
    from scipy.stats import t

    angles = np.arcsin(np.sqrt([np.mean(seed) for seed in seeds]))
    margin = t.ppf(0.975, df=len(seeds) - 1) * angles.std(ddof=1) / math.sqrt(len(seeds))
    low, high = np.sin(np.clip([angles.mean() - margin, angles.mean() + margin], 0.0, math.pi / 2)) ** 2
    return replace(overall, low=min(overall.low, float(low)), high=max(overall.high, float(high)))


def mcnemar(successes: Sequence[bool], reference: Sequence[bool]) -> float:
    """Returns the p-value of McNemar's exact test: that neither solves more of the same episodes than the other.

    Of the episodes that only one of both solves, each is as likely solved by the one as by the other (McNemar 1947).
    """
    from scipy.stats import binomtest

    pairs = list(zip(successes, reference, strict=True))
    ours, theirs = pairs.count((True, False)), pairs.count((False, True))
    return float(binomtest(ours, ours + theirs).pvalue) if ours + theirs else 1.0


@dataclass(frozen=True)
class Difference:
    """How much higher one share of successes is than another, over the same episodes, with its 95 % interval.

    Attributes:
        difference: Between the rates, in -1..1.
        low: Lower bound.
        high: Upper bound.
    """

    difference: float
    low: float
    high: float


def paired_difference(successes: Sequence[bool], reference: Sequence[bool]) -> Difference:
    """Returns by how much the successes exceed those of the reference in the same episodes, in the same order.

    The interval squares and adds the Wilson intervals of both rates, less what their correlation takes away (Newcombe,
    "Improved confidence intervals for the difference between binomial proportions based on paired data", 1998, method
    10). It stays honest where both rates are 0 or 1, where a bootstrap has no width.
    """
    ours, theirs = (_rate(run, interval="wilson") for run in (successes, reference))
    pairs = list(zip(successes, reference, strict=True))
    both, only_ours, only_theirs, neither = (
        pairs.count(pair) for pair in ((True, True), (True, False), (False, True), (False, False))
    )
    covariance = float(both * neither - only_ours * only_theirs)
    if covariance > 0:  # corrected for continuity
        covariance = max(covariance - len(pairs) / 2, 0.0)
    spread = math.prod((both + only_ours, only_theirs + neither, both + only_theirs, only_ours + neither))
    correlation = covariance / math.sqrt(spread) if spread else 0.0
    difference = ours.rate - theirs.rate
    down, up = (ours.rate - ours.low, theirs.high - theirs.rate), (ours.high - ours.rate, theirs.rate - theirs.low)
    return Difference(
        difference=difference,
        low=difference - math.sqrt(down[0] ** 2 - 2 * correlation * down[0] * down[1] + down[1] ** 2),
        high=difference + math.sqrt(up[0] ** 2 - 2 * correlation * up[0] * up[1] + up[1] ** 2),
    )


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Returns p50, p90 and p99 of the values, in their unit."""
    p50, p90, p99 = np.percentile(np.asarray(values), [50, 90, 99])
    return {"p50": float(p50), "p90": float(p90), "p99": float(p99)}


def roc_area(scores: Sequence[float], reference: Sequence[float]) -> Rate:
    """Returns how often one of the scores is higher than one of the reference, of all pairs; a tie counts a half.

    That is the area under the receiver operating characteristic (Mann & Whitney 1947). The interval is that of Newcombe
    ("Confidence intervals for an effect size measure based on the Mann-Whitney statistic", 2006, method 5), which has a
    width where all pairs agree.

    Args:
        scores: At least one.
        reference: At least one.
    """
    from scipy.optimize import brentq

    ours, theirs = np.asarray(scores, float), np.asarray(reference, float)
    if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        raise ValueError("scores must be finite numbers, and some are not")
    difference = ours[:, None] - theirs
    area = float((difference > 0).mean() + (difference == 0).mean() / 2)
    size = (len(ours) + len(theirs)) / 2 - 1

    def excess(bound: float) -> float:
        variance = bound * (1 - bound) * (1 + size * ((1 - bound) / (2 - bound) + bound / (1 + bound)))
        return (area - bound) ** 2 - _NORMAL_QUANTILE**2 * variance / (len(ours) * len(theirs))

    low = float(brentq(excess, 0.0, area - _BESIDE)) if area > _BESIDE else 0.0
    high = float(brentq(excess, area + _BESIDE, 1.0)) if area < 1 - _BESIDE else 1.0
    return Rate(rate=area, low=low, high=high, n=len(ours))


_NORMAL_QUANTILE = 1.959964
"""Of 97.5 %."""

_BESIDE = 1e-9
"""The equation has a root of no interest at an area of 0 or 1 itself."""


@dataclass(frozen=True)
class SignedRank:
    """Wilcoxon's test of pairs.

    Attributes:
        p_value: That neither of a pair is higher than the other.
        effect: Rank-biserial correlation, in -1..1: 1 where the first of each pair is higher.
    """

    p_value: float
    effect: float


def signed_rank(scores: Sequence[float], reference: Sequence[float]) -> SignedRank:
    """Returns whether scores are higher than those that they are paired with (Wilcoxon 1945; effect: Kerby 2014).

    Args:
        scores: `[num_pairs]`.
        reference: `[num_pairs]`.
    """
    from scipy.stats import rankdata, wilcoxon

    difference = np.asarray(scores, float) - np.asarray(reference, float)
    differing = difference[difference != 0]
    if not len(differing):
        return SignedRank(p_value=1.0, effect=0.0)
    ranks = rankdata(np.abs(differing))
    effect = float((ranks * np.sign(differing)).sum() / ranks.sum())
    return SignedRank(p_value=float(wilcoxon(differing).pvalue), effect=effect)
