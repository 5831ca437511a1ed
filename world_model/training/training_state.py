"""What an interrupted training needs to go on exactly: all modules, the optimiser, and how far it came."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from world_model.training.tensor_file import CheckpointError, one_line, read_tensors, write_tensors


@dataclass(frozen=True)
class Progress:
    """How far a training came.

    Attributes:
        step: Finished steps of the optimiser.
        log_bytes: Size of the log after that step.
    """

    step: int = 0
    log_bytes: int = 0


class TrainingState:
    """The state of one training, on the disk and in memory.

    Args:
        path: The file.
        module: All that is optimised, or must be restored.
        optimizer: Of its parameters.
        identity: Plain JSON that says which training this is.
    """

    def __init__(
        self, path: Path, *, module: nn.Module, optimizer: torch.optim.Optimizer, identity: Mapping[str, Any]
    ) -> None:
        self._path = path
        self._module = module
        self._optimizer = optimizer
        self._identity = json.loads(json.dumps(identity, allow_nan=False))

    def save(self, progress: Progress) -> None:
        """Writes the state: it is there as a whole, or not at all."""
        tensors = {f"module.{name}": tensor for name, tensor in self._module.state_dict().items()}
        for index, values in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": tensor for name, tensor in values.items()}
        header = {
            "identity": self._identity,
            "step": progress.step,
            "log_bytes": progress.log_bytes,
        }
        write_tensors(self._path, tensors, header)

    def restore(self) -> Progress:
        """Restores module and optimiser where there is a file, and says how far the training came.

        Raises:
            CheckpointError: The file is damaged, or that of another training.
        """
        if not self._path.exists():
            return Progress()
        tensors, header = read_tensors(self._path)
        self._check_identity(header.get("identity"))
        modules: dict[str, Tensor] = {}
        state: dict[int, dict[str, Tensor]] = {}
        try:
            for name, tensor in tensors.items():
                kind, _, rest = name.partition(".")
                if kind == "optimizer":
                    index, _, key = rest.partition(".")
                    state.setdefault(int(index), {})[key] = tensor
                else:
                    modules[rest] = tensor
            self._module.load_state_dict(modules)
            self._optimizer.load_state_dict({**self._optimizer.state_dict(), "state": state})
            self._lay_out()
            return Progress(step=int(header["step"]), log_bytes=int(header["log_bytes"]))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{self._path} is no training state to go on from: {one_line(error)}") from None

    def _lay_out(self) -> None:
        """Lays what the optimiser knows of a parameter in memory as the parameter is.

        A fused optimiser pairs the two by where they lie, and would meet each weight with the moments of another.
        """
        for parameter, values in self._optimizer.state.items():
            for name, value in values.items():
                if value.shape == parameter.shape:
                    values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)

    def _check_identity(self, saved: Any) -> None:
        if not isinstance(saved, dict):
            raise CheckpointError(f"{self._path} does not say which training it is the state of")
        for key in sorted(saved.keys() | self._identity.keys()):
            if saved.get(key) != self._identity.get(key):
                raise CheckpointError(
                    f"{self._path.parent} holds a training with {key}={one_line(saved.get(key))}, this one has "
                    f"{key}={one_line(self._identity.get(key))}: choose another output folder, or delete that one"
                )
