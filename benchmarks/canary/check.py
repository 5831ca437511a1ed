"""A number that is measured, the bounds that it must keep, and the line that says whether it did."""

import math
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

FINDINGS = "canary.json"
"""Where what was measured lies."""


@dataclass(frozen=True)
class Check:
    """Something whose answer is known.

    Attributes:
        claim: What holds of a sound tree.
        measure: Returns the number.
        least: That it may be.
        most: That it may be.
    """

    claim: str
    measure: Callable[[], float]
    least: float = -math.inf
    most: float = math.inf


@dataclass(frozen=True)
class Outcome:
    """What became of a check.

    Attributes:
        claim: See `Check`.
        value: What was measured, or None where that failed.
        bounds: What it had to keep, for people.
        error: Why nothing was measured, in one line, or None.
        traceback: Of that.
    """

    claim: str
    value: float | None
    bounds: str
    error: str | None = None
    traceback: str | None = None
    passed: bool = False

    @property
    def line(self) -> str:
        """What is said of it."""
        found = f"could not be measured: {self.error}" if self.value is None else f"{self.value:.4g}, {self.bounds}"
        return f"{'ok    ' if self.passed else 'FAILED'}  {self.claim}: {found}"

    def plain(self) -> dict[str, Any]:
        """Returns what a file holds of it; a number that is none is left out."""
        finite = self.value is not None and math.isfinite(self.value)
        return asdict(self) | {"value": self.value if finite else None}


def judge(check: Check) -> Outcome:
    """Measures, whatever happens, and says whether the bounds are kept; what is no number keeps none."""
    bounds = _told(check)
    try:
        value = float(check.measure())
    except Exception as error:
        message = " ".join(f"{type(error).__name__}: {error}".split())
        return Outcome(check.claim, None, bounds, error=message, traceback=traceback.format_exc())
    return Outcome(check.claim, value, bounds, passed=check.least <= value <= check.most)


def judge_all(checks: Sequence[Check]) -> list[Outcome]:
    """Judges one check after the other, and prints the line of each."""
    outcomes = []
    for check in checks:
        outcomes.append(judge(check))
        print(outcomes[-1].line, flush=True)
    return outcomes


def _told(check: Check) -> str:
    """Returns the bounds of a check for people."""
    if check.least == check.most:
        return f"exactly {check.least:g}"
    told = [f"at least {check.least:g}"] * (check.least > -math.inf) + [f"at most {check.most:g}"] * (
        check.most < math.inf
    )
    return " and ".join(told)
