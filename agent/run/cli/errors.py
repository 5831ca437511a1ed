"""Which errors are a user's to mend, and what is said of them: one sentence and an exit code."""

import errno
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from envs.episodes.parallel import WorkerError
from jepa_mpc.errors import ForeignFault, UserError
from world_model.training.fit import TrainingStopped

_FAULT = (
    "this is a fault of jepa-mpc and no mistake of yours: please report it with what stands above and with what "
    "`jepa-mpc doctor` says"
)


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: 0, 1 for a result that falls short, 2 for a user's mistake, 3 for a fault of ours.
        said: What went wrong, in one sentence; empty where nothing did.
    """

    code: int
    said: str = ""


def attempt(work: Callable[[], int]) -> Outcome:
    """Works, and says how it ended; the traceback of a fault goes to stderr."""
    try:
        return Outcome(work())
    except Exception as error:
        if isinstance(error, UserError) or (isinstance(error, OSError) and error.errno is not None):
            return Outcome(2, _sentence(error))
        if isinstance(error, TrainingStopped | WorkerError):
            return Outcome(1, _sentence(error))
        traceback.print_exception(error)
        if isinstance(error, ForeignFault):
            return Outcome(2, f"{_sentence(error)}; it is to be mended there, its traceback stands above")
        return Outcome(3, f"{type(error).__name__}; {_FAULT}")


def _sentence(error: Exception) -> str:
    """Returns what went wrong in one line."""
    if not isinstance(error, OSError):
        return " ".join(str(error).split())
    where = "" if error.filename is None else f": {error.filename}"
    if error.errno == errno.ENOSPC:
        return f"the disk is full{where}; free some space, and run the same command again"
    return f"{error.strerror}{where}"
