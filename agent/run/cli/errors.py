"""Which errors are a user's to mend, and what is said of them: one sentence and an exit code."""

import errno

from agent.evaluation.oracle import OracleError
from agent.evaluation.scenarios.types import ScenarioError
from agent.goal import GoalError
from agent.perception import ObservationError
from agent.run.config.composing import ConfigError
from envs.episode import DatasetError
from envs.parallel import WorkerError
from world_model.training.checkpoint import CheckpointError
from world_model.training.train import TrainingStopped

_MISTAKES = (CheckpointError, ConfigError, DatasetError, GoalError, ObservationError, OracleError, ScenarioError)


def exit_code(error: Exception) -> int | None:
    """Returns 2 for a user's mistake, 1 for a result that falls short, None for a fault of ours."""
    if isinstance(error, _MISTAKES) or (isinstance(error, OSError) and error.errno is not None):
        return 2
    return 1 if isinstance(error, TrainingStopped | WorkerError) else None


def sentence(error: Exception) -> str:
    """Returns what went wrong in one line."""
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC:
            where = error.filename or "output"
            return f"the disk is full ({where}): free some space, and run the same command again"
        return f"{error.strerror}: {error.filename}"
    return " ".join(str(error).split())
