"""What was learned, in one file that nothing can be executed from: tensors, and plain words about them.

The tensors are named `section.name`, the section being the part of the agent that they belong to ("world_model", later
"critic", "policy"). Configs are kept as *names* and *values*, which are looked up again in the shipped config groups.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from world_model.training.tensor_file import CheckpointError, one_line, read_tensors, write_tensors

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "Metadata",
    "file_sha256",
    "load_checkpoint",
    "save_checkpoint",
    "section_sha256",
]

SCHEMA = 3
_KINDS = {
    "configs": dict,
    "env": dict,
    "action_repeat": int,
    "versions": dict,
    "data_fingerprint": str,
    "training_step": int,
    "bonds": dict,
}


@dataclass(frozen=True)
class Metadata:
    """What a checkpoint says of itself; all of it is plain JSON.

    Attributes:
        configs: Config group to `{"name": ..., "values": {...}}`.
        env: The environment that it was learned from, as `TaskSpec.to_json` describes it.
        action_repeat: Control steps of a model step.
        versions: Package name to the version that trained it.
        data_fingerprint: Of the dataset.
        training_step: Steps of the optimiser so far.
        bonds: Section to the common hash of its tensors and of the world model that they were trained on; none of the
            world model itself.
    """

    configs: Mapping[str, Any]
    env: Mapping[str, Any]
    action_repeat: int
    versions: Mapping[str, str]
    data_fingerprint: str
    training_step: int
    bonds: Mapping[str, str]


@dataclass(frozen=True)
class Checkpoint:
    """What was learned.

    Attributes:
        sections: Part of the agent to its tensors by name.
        metadata: What the checkpoint says of itself.
    """

    sections: Mapping[str, Mapping[str, Tensor]]
    metadata: Metadata

    def restore(self, section: str, module: nn.Module) -> None:
        """Loads a section into a module like the one that it was taken from.

        Raises:
            CheckpointError: The checkpoint lacks the section or a tensor, has one too many, one of another shape or
                kind of number, or one that the module refuses.
        """
        if section not in self.sections:
            raise CheckpointError(
                f"the checkpoint has no section '{section}', it has {sorted(self.sections)}: "
                "train anew with what the config asks for"
            )
        tensors, expected = self.sections[section], module.state_dict()
        for name in sorted(expected.keys() | tensors.keys()):
            if name not in tensors:
                raise CheckpointError(f"the checkpoint lacks the tensor '{section}.{name}', which its config asks for")
            if name not in expected:
                raise CheckpointError(f"the checkpoint holds a tensor '{section}.{name}' that its config does not know")
            if tensors[name].shape != expected[name].shape:
                raise CheckpointError(
                    f"the tensor '{section}.{name}' has shape {[*tensors[name].shape]}, "
                    f"its config asks for {[*expected[name].shape]}"
                )
            if tensors[name].dtype != expected[name].dtype:
                raise CheckpointError(
                    f"the tensor '{section}.{name}' is of {tensors[name].dtype}, its config asks for "
                    f"{expected[name].dtype}"
                )
        try:
            module.load_state_dict(dict(tensors))
        except ValueError as error:
            raise CheckpointError(f"the section '{section}' of the checkpoint cannot be used: {error}") from None


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint: it is there as a whole, or not at all. Equal checkpoints give equal bytes.

    Raises:
        CheckpointError: A weight is not finite.
        OSError: It cannot be written.
    """
    tensors = {
        f"{section}.{name}": tensor
        for section, content in checkpoint.sections.items()
        for name, tensor in content.items()
    }
    _check_finite(path, tensors)
    write_tensors(path, tensors, {"schema": SCHEMA, **asdict(checkpoint.metadata)})


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint; nothing in it is executed.

    Raises:
        CheckpointError: There is none, or what lies there is no checkpoint of this schema, or it is damaged.
    """
    tensors, header = read_tensors(path)
    metadata = _metadata(path, header)
    sections: dict[str, dict[str, Tensor]] = {}
    for name, tensor in sorted(tensors.items()):
        section, dot, rest = name.partition(".")
        if not (section and dot and rest):
            raise CheckpointError(f"{path} holds a tensor '{name}', expected names such as 'world_model.weight'")
        sections.setdefault(section, {})[rest] = tensor
    _check_finite(path, tensors)
    return Checkpoint(sections=sections, metadata=metadata)


def section_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Returns a hash of the names and contents of tensors: another hash is another model."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {[*tensor.shape]}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _metadata(path: Path, header: Mapping[str, Any]) -> Metadata:
    if header.get("schema") != SCHEMA:
        raise CheckpointError(
            f"{path} was written by another version (schema {one_line(header.get('schema'))}, expected {SCHEMA}): "
            "train it anew"
        )
    values = {key: value for key, value in header.items() if key != "schema"}
    if values.keys() != _KINDS.keys():
        raise CheckpointError(f"the header of {path} has the keys {sorted(values)}, expected {sorted(_KINDS)}")
    for key, kind in _KINDS.items():
        if not isinstance(values[key], kind) or isinstance(values[key], bool):
            raise CheckpointError(f"'{key}' in {path} is {one_line(values[key])}, expected a {kind.__name__}")
    if values["action_repeat"] < 1:
        raise CheckpointError(f"'action_repeat' in {path} must be at least 1, got {values['action_repeat']}")
    for group, config in values["configs"].items():
        if not isinstance(config, dict) or config.keys() != {"name", "values"}:
            raise CheckpointError(f"configs.{group} in {path} must hold 'name' and 'values', got {one_line(config)}")
    return Metadata(**values)


def _check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"the tensor '{name}' of {path} must be finite, and is not")
