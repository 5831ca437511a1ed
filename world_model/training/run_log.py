"""The log of a training: JSON lines, TensorBoard, and Weights & Biases for who wants it."""

import hashlib
import json
import math
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

LOG = "log.jsonl"


class RunLog:
    """Writes named numbers by step. A training that goes on continues it without doubling a line.

    Args:
        folder: Holds `log.jsonl` and `tensorboard/`.
        step: From where the training goes on; later lines of an interrupted run are dropped.
        num_bytes: Size of `log.jsonl` at that step.
        wandb: Whether Weights & Biases gets the numbers too.
    """

    def __init__(self, folder: Path, *, step: int, num_bytes: int, wandb: bool) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / LOG).open("ab")
        self._file.truncate(min(num_bytes, self._file.tell()))
        self._tensorboard: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)
        self._wandb: Any = _start_wandb(folder) if wandb else None

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Writes the numbers of one step; one that is not finite is null in `log.jsonl`, as JSON knows no other."""
        line = {"step": step, **{name: value if math.isfinite(value) else None for name, value in numbers.items()}}
        self._file.write(json.dumps(line).encode() + b"\n")
        for name, value in numbers.items():
            self._tensorboard.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(dict(numbers), step=step)

    def flush(self) -> int:
        """Hands all lines to the operating system and returns the size of `log.jsonl`."""
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        """Closes all files."""
        self._file.close()
        self._tensorboard.close()
        if self._wandb is not None:
            self._wandb.finish()


def require_wandb(section: str) -> None:
    """Raises `ValueError` if Weights & Biases is not installed, and says which section of a config asks for it."""
    try:
        import_module("wandb")
    except ImportError:
        raise ValueError(
            f"{section}.wandb must be false where the package wandb is missing, got true: "
            f"pip install 'jepa-mpc[wandb]' or {section}.wandb=false"
        ) from None


def _start_wandb(folder: Path) -> Any:
    import wandb

    run_id = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]  # the same where a training goes on
    return wandb.init(project="jepa-mpc", id=run_id, dir=folder, resume="allow")
