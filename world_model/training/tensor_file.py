"""Tensors and JSON in one safetensors file, which is there as a whole or not at all; nothing in it can be executed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from jepa_mpc.errors import UserError
from jepa_mpc.files import write_whole
from world_model.building import undisturbed

_HEADER = "jepa-mpc"


class CheckpointError(UserError):
    """A checkpoint that cannot be used; the message is one sentence for whoever chose it."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Writes a file so that whoever reads it, even after a power cut, finds the old content or the new.

    Equal tensors and headers give equal bytes.

    Args:
        path: Where.
        tensors: By name.
        header: Plain JSON, without NaN.

    Raises:
        OSError: It cannot be written; the old content is still there, and the error names the file.
    """
    text = json.dumps(header, allow_nan=False)
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, {_HEADER: text})
    write_whole(path, content)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads what `write_tensors` wrote.

    Raises:
        CheckpointError: There is no such file, or it is damaged, or something else.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    try:
        with undisturbed(), safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(_HEADER)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"{path} is no checkpoint, expected a whole safetensors file (a pickle is never read): {one_line(error)}"
        ) from None
    if text is None:
        raise CheckpointError(f"{path} is somebody else's safetensors file, expected one with a '{_HEADER}' header")
    try:
        header = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"the header of {path} is not JSON that can be read: {one_line(error)}") from None
    if not isinstance(header, dict):
        raise CheckpointError(f"the header of {path} is {one_line(header)}, expected a JSON object")
    _refuse_code(path, header)
    return tensors, header


def one_line(value: object) -> str:
    """Returns a value as a short text without line breaks."""
    text = " ".join(str(value).split())
    return text if len(text) <= 200 else f"{text[:200]}…"


def _refuse_code(path: Path, tree: Any) -> None:
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key.startswith("_"):
                raise CheckpointError(f"{path} holds the key '{key}': a checkpoint holds names and values, never code")
            _refuse_code(path, value)
    elif isinstance(tree, list):
        for value in tree:
            _refuse_code(path, value)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"a number is {constant}, expected finite numbers only")
