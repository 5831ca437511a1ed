"""Problems with known answers, for planners and for whoever plans."""

from collections.abc import Callable

import pytest

from benchmarks.planners.lqr import LQR, make_lqr
from benchmarks.planners.objectives import Recorder
from planners.types import Objective


@pytest.fixture(scope="session")
def lqr() -> LQR:
    """An LQR with eight starts from which the optimal actions stay inside the bounds."""
    return make_lqr()


@pytest.fixture(scope="session")
def record() -> Callable[[Objective], Recorder]:
    """Wraps an objective so that what it prices can be inspected in `.candidates`."""
    return Recorder
