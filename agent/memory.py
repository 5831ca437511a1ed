"""Short-term memory: what was perceived, done, foreseen and suffered, by time (LeCun 2022, sections 3.1 and 3.2)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from planners.types import is_whole
from world_model.training.tensor_file import CheckpointError, read_tensors, write_tensors
from world_model.types import LatentGoal

SCHEMA = 1
_HEADER = {"memory_schema", "capacity", "sensors"}
_DIMENSIONS = {
    "times": ("time",),
    "embeddings": ("time", "embed_dim"),
    "previous_actions": ("time", "model_action_dim"),
    "goal_embeddings": ("time", "embed_dim"),
    "goal_masks": ("time", "embed_dim"),
    "intrinsic_costs": ("time",),
    "surprises": ("time",),
    "block_surprises": ("time", "sensor"),
    "seen": ("time", "sensor"),
}
_DTYPES = {"times": torch.int64, "goal_masks": torch.bool, "seen": torch.bool}


@dataclass(frozen=True)
class Moment:
    """One remembered model step.

    Attributes:
        time: Model steps since the start of the episode.
        embedding: `[embed_dim]`, the observation's; what the world model filled in where a sensor showed nothing.
        previous_action: `[model_action_dim]`, what led there; the still action at the start of an episode.
        goal: That was pursued until here, of one problem.
        intrinsic_cost: Mean squared distance of `embedding` from that goal, over the dimensions that it asks for.
        surprise: Mean squared distance of `embedding` from what was foreseen for the executed action, over the blocks
            that were seen; 0 at the start.
        block_surprises: Sensor name to the same in its block alone, of the sensors that were seen.
    """

    time: int
    embedding: Tensor
    previous_action: Tensor
    goal: LatentGoal
    intrinsic_cost: float
    surprise: float
    block_surprises: Mapping[str, float]

    @property
    def seen(self) -> frozenset[str]:
        """The sensors that were seen."""
        return frozenset(self.block_surprises)


@dataclass(frozen=True)
class ShortTermMemory:
    """The last moments, the newest last.

    Attributes:
        capacity: Most moments kept.
        moments: At most `capacity`.
    """

    capacity: int
    moments: tuple[Moment, ...] = ()

    def record(self, moment: Moment) -> "ShortTermMemory":
        """Returns a memory that also holds `moment`, and has forgotten the oldest where it was full."""
        return replace(self, moments=(*self.moments, moment)[-self.capacity :])

    def triples(self) -> tuple[Tensor, Tensor, Tensor]:
        """Returns what a critic learns from: times, states and intrinsic costs (LeCun 2022, section 3.2).

        Returns:
            Times `[num_moments]`, embeddings `[num_moments, embed_dim]` and intrinsic costs `[num_moments]`.
        """
        return (
            torch.tensor([moment.time for moment in self.moments]),
            torch.stack([moment.embedding for moment in self.moments]),
            torch.tensor([moment.intrinsic_cost for moment in self.moments], dtype=torch.float64),
        )

    def goals(self) -> LatentGoal:
        """Returns the goals that the moments' costs are about, `[num_moments, embed_dim]`."""
        return LatentGoal(
            embedding=torch.cat([moment.goal.embedding for moment in self.moments]),
            mask=torch.cat([moment.goal.mask for moment in self.moments]),
        )

    def save(self, path: Path | str) -> None:
        """Writes the memory to a safetensors file: it is there as a whole, or not at all.

        Raises:
            ValueError: Nothing is remembered yet.
            OSError: It cannot be written.
        """
        if not self.moments:
            raise ValueError("an empty memory cannot be saved: record a moment first")
        sensors = sorted(frozenset[str]().union(*(moment.seen for moment in self.moments)))
        times, embeddings, intrinsic_costs = self.triples()
        goals = self.goals()
        tensors = {
            "times": times,
            "embeddings": embeddings,
            "previous_actions": torch.stack([moment.previous_action for moment in self.moments]),
            "goal_embeddings": goals.embedding,
            "goal_masks": goals.mask,
            "intrinsic_costs": intrinsic_costs,
            "surprises": torch.tensor([moment.surprise for moment in self.moments], dtype=torch.float64),
            "block_surprises": torch.tensor(
                [[moment.block_surprises.get(name, 0.0) for name in sensors] for moment in self.moments],
                dtype=torch.float64,
            ),
            "seen": torch.tensor(
                [[name in moment.seen for name in sensors] for moment in self.moments], dtype=torch.bool
            ),
        }
        write_tensors(Path(path), tensors, {"memory_schema": SCHEMA, "capacity": self.capacity, "sensors": sensors})

    @classmethod
    def load(cls, path: Path | str) -> "ShortTermMemory":
        """Reads what `save` wrote, to the last bit.

        Raises:
            CheckpointError: There is no such file, or it is damaged, or something else.
        """
        path = Path(path)
        if not path.is_file():
            raise CheckpointError(f"there is no short-term memory {path}")
        try:
            tensors, header = read_tensors(path)
        except CheckpointError:
            raise CheckpointError(
                f"{path} is no short-term memory, expected a whole file that its save has written"
            ) from None
        if not _is_memory(tensors, header):
            raise CheckpointError(f"{path} must hold a short-term memory of schema {SCHEMA}, and does not")
        moments = tuple(
            Moment(
                time=int(row["times"]),
                embedding=row["embeddings"],
                previous_action=row["previous_actions"],
                goal=LatentGoal(embedding=row["goal_embeddings"][None], mask=row["goal_masks"][None]),
                intrinsic_cost=float(row["intrinsic_costs"]),
                surprise=float(row["surprises"]),
                block_surprises={
                    header["sensors"][index]: float(row["block_surprises"][index]) for index in row["seen"].nonzero()
                },
            )
            for row in (dict(zip(tensors, parts, strict=True)) for parts in zip(*tensors.values(), strict=True))
        )
        return cls(capacity=header["capacity"], moments=moments)


def _is_memory(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> bool:
    """Returns whether these are the tensors of a memory, each of the right size, and what else it needs."""
    if header.keys() != _HEADER or header["memory_schema"] != SCHEMA or tensors.keys() != _DIMENSIONS.keys():
        return False
    sensors = header["sensors"]
    if not is_whole(header["capacity"]) or not isinstance(sensors, list):
        return False
    if not all(isinstance(sensor, str) for sensor in sensors):
        return False
    sizes = {"sensor": len(sensors)}
    for name, dimensions in _DIMENSIONS.items():
        tensor = tensors[name]
        if tensor.ndim != len(dimensions) or tensor.dtype != _DTYPES.get(name, tensor.dtype):
            return False
        if any(sizes.setdefault(dim, size) != size for dim, size in zip(dimensions, tensor.shape, strict=True)):
            return False
    return bool(1 <= sizes["time"] <= header["capacity"])
