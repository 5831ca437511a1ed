"""How often the printed intervals hold the truth: of one training, and pooled over several.

`python -m benchmarks.agent.coverage` prints the share of 95 % intervals that hold the true rate. That of one training
is summed exactly over all counts of successes. That of several is simulated: the rate of each training is drawn from a
beta distribution with the true mean and a standard deviation, then its successes from a binomial one; a * marks what is
not promised, where the true rate lies nearer to 0 or 1 than two of those standard deviations.

All settings: num_draws=4000, num_seeds=3, num_episodes=300.
"""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binom
from tqdm import tqdm

from agent.evaluation.statistics import pooled_rate, success_rate
from benchmarks.arguments import call, read_settings
from benchmarks.tables import table

RATES = (0.5, 0.8, 0.9, 0.95, 0.98, 0.99)
NUMBERS = (100, 200, 300)
SPREADS = (0.0, 0.02, 0.05)


def main() -> None:
    settings = read_settings({"num_draws": 4000, "num_seeds": 3, "num_episodes": 300})
    header = ("true rate", *(f"{rate:g}" for rate in RATES))
    rows = [
        [f"one training, n = {n}", *(_percent(coverage_of_one(rate, num_episodes=n)) for rate in RATES)]
        for n in NUMBERS
    ]
    for spread in SPREADS:
        rows.append([f"{settings.num_seeds} trainings, {100 * spread:g} points apart"])
        for rate in tqdm(RATES, desc=rows[-1][0], disable=None):
            covered = coverage_of_pooled(
                rate,
                spread=spread,
                num_seeds=settings.num_seeds,
                num_episodes=settings.num_episodes,
                num_draws=settings.num_draws,
                rng=np.random.default_rng(0),
            )
            rows[-1].append(_percent(covered) + "*" * (not is_promised(rate, spread)))
    print(table(header, rows))


def coverage_of_one(rate: float, *, num_episodes: int) -> float:
    """Returns how likely the interval of one training holds the true rate."""
    return sum(
        float(binom.pmf(count, num_episodes, rate))
        for count in range(num_episodes + 1)
        if _holds(rate, [_successes(count, num_episodes)])
    )


def coverage_of_pooled(
    rate: float, *, spread: float, num_seeds: int, num_episodes: int, num_draws: int, rng: np.random.Generator
) -> float:
    """Returns in how many of so many draws the pooled interval holds the mean rate.

    Args:
        rate: The mean of what trainings come to.
        spread: Its standard deviation over trainings.
        num_seeds: Trainings.
        num_episodes: Of each.
        num_draws: How often to draw.
        rng: Draws.
    """
    rates = np.full((num_draws, num_seeds), rate)
    if spread:
        concentration = rate * (1 - rate) / spread**2 - 1
        rates = rng.beta(rate * concentration, (1 - rate) * concentration, size=rates.shape)
    counts = rng.binomial(num_episodes, rates)
    return float(np.mean([_holds(rate, [_successes(count, num_episodes) for count in draw]) for draw in counts]))


def is_promised(rate: float, spread: float) -> bool:
    """Returns whether `pooled_rate` promises to hold such a rate in 95 % of all cases."""
    return 2 * spread <= min(rate, 1 - rate) + 1e-9


def _holds(rate: float, seeds: Sequence[Sequence[bool]]) -> bool:
    interval = pooled_rate(seeds) if len(seeds) > 1 else success_rate(seeds[0])
    return interval.low <= rate <= interval.high


def _successes(count: int, num_episodes: int) -> list[bool]:
    return [True] * count + [False] * (num_episodes - count)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    call(main)
