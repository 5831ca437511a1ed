"""One recorded episode, and many of them on the disk.

Time: `actions[t]` is executed after `observations[t]` and leads to `observations[t + 1]`.

A dataset is a folder:

    manifest.json           what it is: environment, policy, seeds, episode lengths, shapes, checksums
    actions.npy             `[num_steps, action_dim]`, the steps of all episodes one after the other
    observations/tip.npy    `[num_steps + num_episodes, *shape]`, one such file a sensor

Episode i of `lengths[i]` steps owns `lengths[i]` rows of the actions and `lengths[i] + 1` rows of every sensor. An
episode may have no step at all: it is one observation.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.episodes.manifest import ArrayInfo, DatasetError, Ending, Manifest, read_manifest
from envs.types import Verdict

__all__ = ["DatasetError", "Episode", "EpisodeDataset", "Manifest", "array_path", "open_dataset"]


@dataclass(frozen=True)
class Episode:
    """What was seen and done, in order, and how it is judged, which no dataset stores and no learner sees.

    Attributes:
        observations: Sensor name to its readings, `[num_steps + 1, *shape]`, float32 (a camera: uint8).
        actions: `[num_steps, action_dim]`, float32, in the robot's own units.
        seed: Of the task's reset; with the actions it repeats the episode.
        verdicts: `num_steps + 1` of them, or none where nobody judged.
        num_redrawn: Starts that the task threw away because they were solved already.
    """

    observations: Mapping[str, NDArray[Any]]
    actions: NDArray[np.float32]
    seed: int
    verdicts: Sequence[Verdict]
    num_redrawn: int

    @property
    def is_success(self) -> NDArray[np.bool_]:
        """Whether the goal was reached, `[num_steps + 1]`."""
        return np.array([verdict.success for verdict in self.verdicts])

    @property
    def ending(self) -> Ending:
        """How it ended: "terminated" by the task, or else "truncated", by the task or whoever recorded it."""
        return "terminated" if self.verdicts and self.verdicts[-1].terminated else "truncated"


@dataclass(frozen=True)
class EpisodeDataset:
    """Episodes on the disk, read where they lie.

    Attributes:
        folder: Where they lie.
        manifest: What they are.
        observations: Sensor name to a read-only memmap `[num_steps + num_episodes, *shape]`.
        actions: A read-only memmap `[num_steps, action_dim]`.
    """

    folder: Path
    manifest: Manifest
    observations: Mapping[str, NDArray[Any]]
    actions: NDArray[np.float32]

    @property
    def num_episodes(self) -> int:
        """How many episodes there are."""
        return len(self.manifest.lengths)

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """Steps of each episode, `[num_episodes]`."""
        return np.asarray(self.manifest.lengths, dtype=np.int64)

    @cached_property
    def first_action(self) -> NDArray[np.int64]:
        """The row of `actions` where each episode starts, `[num_episodes]`."""
        return np.cumsum(self.lengths) - self.lengths

    @cached_property
    def first_observation(self) -> NDArray[np.int64]:
        """The row of every sensor where each episode starts, `[num_episodes]`."""
        return self.first_action + np.arange(self.num_episodes)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the checksums: another fingerprint is another content. It reads no data."""
        arrays = {**self.manifest.observations, "actions": self.manifest.actions}
        lines = (f"{name} {arrays[name].sha256}\n" for name in sorted(arrays))
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def episode(self, index: int) -> tuple[dict[str, NDArray[Any]], NDArray[np.float32]]:
        """Returns episode `index`: its observations `[num_steps + 1, *shape]` and actions `[num_steps, action_dim]`."""
        row, step, length = self.first_observation[index], self.first_action[index], self.lengths[index]
        readings = {name: array[row : row + length + 1] for name, array in self.observations.items()}
        return readings, self.actions[step : step + length]


def array_path(folder: Path, sensor: str | None) -> Path:
    """Returns the file of a sensor, or of the actions for None."""
    return folder / "actions.npy" if sensor is None else folder / "observations" / f"{sensor}.npy"


def open_dataset(folder: Path) -> EpisodeDataset:
    """Opens a dataset without reading its data: what is checked is that every file is there, whole, and as described.

    Raises:
        DatasetError: The folder holds no dataset, or a damaged one.
    """
    manifest = read_manifest(folder)
    return EpisodeDataset(
        folder=folder,
        manifest=manifest,
        observations={
            sensor: _open_array(array_path(folder, sensor), info) for sensor, info in manifest.observations.items()
        },
        actions=_open_array(array_path(folder, None), manifest.actions),
    )


def _open_array(path: Path, info: ArrayInfo) -> NDArray[Any]:
    if not path.is_file():
        raise DatasetError(f"{path} is missing, the manifest describes it as {info.dtype} {list(info.shape)}")
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OSError, OverflowError, SyntaxError, EOFError) as error:
        raise DatasetError(f"{path} is truncated or no .npy file: {error}") from None
    if array.shape != info.shape or array.dtype != np.dtype(info.dtype).newbyteorder("<"):
        raise DatasetError(
            f"{path} holds {array.dtype} {list(array.shape)}, expected {info.dtype} {list(info.shape)} by the manifest"
        )
    if path.stat().st_size != array.offset + array.nbytes or not array.flags.c_contiguous:
        raise DatasetError(f"{path} has {path.stat().st_size} bytes, expected {array.offset + array.nbytes}")
    return array
