"""Writing a dataset: room for every episode first, then the episodes in any order, then the seal.

Several processes may write episodes of one dataset at the same time, because each episode has its own rows.
"""

import errno
import hashlib
import io
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from envs.episodes.episode import Episode, array_path
from envs.episodes.manifest import ArrayInfo, DatasetError, Ending, Manifest, write_manifest
from envs.spec import TaskSpec
from jepa_mpc.files import reserve_room

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_PACKAGES = ("jepa-mpc", "gymnasium", "mujoco", "numpy")


def draft_manifest(
    env: TaskSpec,
    *,
    dtypes: Mapping[str, str],
    policy_name: str,
    policy_values: Mapping[str, Any],
    backends: Sequence[str],
    seeds: Sequence[int],
    lengths: Sequence[int],
) -> Manifest:
    """Describes a dataset that is still to be written: its checksums and its report are empty.

    Args:
        env: Where the episodes come from.
        dtypes: Sensor name to the type of its readings.
        policy_name: Who acts.
        policy_values: With which values; plain JSON.
        backends: What draws the frames of cameras.
        seeds: One an episode.
        lengths: Steps of each episode, at most.
    """
    num_steps, num_rows = sum(lengths), sum(lengths) + len(lengths)
    cut: Ending = "truncated"
    return Manifest(
        env=env,
        versions={package: version(package) for package in _PACKAGES},
        policy_name=policy_name,
        policy_values=policy_values,
        backends=tuple(backends),
        seeds=tuple(seeds),
        num_steps=max(lengths),
        lengths=tuple(lengths),
        endings=(cut,) * len(lengths),
        observations={
            sensor: ArrayInfo(shape=(num_rows, *shape), dtype=dtypes[sensor], sha256="")
            for sensor, shape in env.shapes.items()
        },
        actions=ArrayInfo(shape=(num_steps, env.action_dim), dtype="float32", sha256=""),
        report={},
    )


class Recording:
    """The files of a dataset while they are written: until it is sealed, each episode has room for all that it may be.

    Args:
        folder: Where the dataset will be.
        draft: What it will hold at most.
    """

    def __init__(self, folder: Path, draft: Manifest) -> None:
        self._folder = folder
        self._draft = draft
        lengths = np.asarray(draft.lengths, dtype=np.int64)
        self._first_step = np.cumsum(lengths) - lengths

    def allocate(self) -> None:
        """Makes all files as large as they may become, so that a disk that is too small is noticed now.

        What they hold stays.

        Raises:
            DatasetError: The disk has not enough room.
        """
        arrays = [(array_path(self._folder, sensor), info) for sensor, info in self._arrays()]
        for path, _ in arrays:
            path.parent.mkdir(parents=True, exist_ok=True)
        needed = sum(_num_bytes(info) for _, info in arrays)
        present = sum(path.stat().st_size for path, _ in arrays if path.exists())
        free = shutil.disk_usage(self._folder).free
        message = (
            f"{self._folder} needs {needed / 1e6:.1f} MB, its disk has {free / 1e6:.1f} MB free: choose another disk"
        )
        if needed - present > free:
            raise DatasetError(message)
        try:
            for path, info in arrays:
                _allocate(path, info)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            raise DatasetError(f"{message} ({error.strerror})") from None

    def write(self, index: int, episode: Episode) -> str:
        """Writes episode `index` where it belongs and returns its checksum."""
        digest = hashlib.sha256()
        for sensor, info in self._arrays():
            rows = np.ascontiguousarray(
                episode.actions if sensor is None else episode.observations[sensor],
                dtype=np.dtype(info.dtype).newbyteorder("<"),
            )
            start, size = self._place(index, sensor, info, length=len(episode.actions))
            assert rows.nbytes == size, f"{sensor}: {rows.shape} are not the rows of episode {index}"
            digest.update(rows.data)
            with array_path(self._folder, sensor).open("r+b") as file:
                file.seek(start)
                file.write(rows.data)
        return digest.hexdigest()

    def checksum(self, index: int, *, length: int) -> str | None:
        """Returns the checksum of `length` steps where episode `index` lies, or None where there is no such place."""
        digest = hashlib.sha256()
        for sensor, info in self._arrays():
            start, size = self._place(index, sensor, info, length=length)
            path = array_path(self._folder, sensor)
            if not path.is_file():
                return None
            with path.open("rb") as file:
                file.seek(start)
                digest.update(file.read(size))
        return digest.hexdigest()

    def seal(self, *, lengths: Sequence[int], endings: Sequence[Ending], report: Mapping[str, float]) -> Manifest:
        """Makes a dataset of the written files: from here on it is one, and a moment before it was none.

        Args:
            lengths: Steps of each episode.
            endings: How each ended.
            report: Measures of the whole.
        """
        self._close_ranks(lengths)
        checksums: dict[str | None, str] = {}
        for sensor, _ in self._arrays():
            with array_path(self._folder, sensor).open("rb") as file:
                os.fsync(file.fileno())
                checksums[sensor] = hashlib.file_digest(file, "sha256").hexdigest()
        manifest = replace(
            self._draft,
            lengths=tuple(lengths),
            endings=tuple(endings),
            observations={
                sensor: replace(_of_length(info, sum(lengths) + len(lengths)), sha256=checksums[sensor])
                for sensor, info in self._draft.observations.items()
            },
            actions=replace(_of_length(self._draft.actions, sum(lengths)), sha256=checksums[None]),
            report=dict(report),
        )
        write_manifest(self._folder, manifest)
        return manifest

    def _arrays(self) -> Iterator[tuple[str | None, ArrayInfo]]:
        yield from self._draft.observations.items()
        yield None, self._draft.actions

    def _close_ranks(self, lengths: Sequence[int]) -> None:
        """Moves the episodes together where some became shorter than they might have been.

        What an interruption leaves half moved has other checksums than were noted, and is recorded again.
        """
        if tuple(lengths) == self._draft.lengths:
            return
        for sensor, info in self._arrays():
            extra = 0 if sensor is None else 1
            moved = _of_length(info, sum(lengths) + extra * len(lengths))
            with array_path(self._folder, sensor).open("r+b") as file:
                end = file.write(_header(moved))
                for index, length in enumerate(lengths):
                    start, size = self._place(index, sensor, info, length=length)
                    file.seek(start)
                    rows = file.read(size)
                    file.seek(end)
                    end += file.write(rows)
                file.truncate(end)

    def _place(self, index: int, sensor: str | None, info: ArrayInfo, *, length: int) -> tuple[int, int]:
        """Returns where in its file episode `index` starts, and the size of `length` steps of it, both in bytes."""
        extra = 0 if sensor is None else 1
        row_bytes = int(np.dtype(info.dtype).itemsize) * math.prod(info.shape[1:])
        first_row = int(self._first_step[index]) + extra * index
        return len(_header(info)) + first_row * row_bytes, (length + extra) * row_bytes


def write_dataset(
    folder: Path,
    episodes: Sequence[Episode],
    *,
    env: TaskSpec,
    policy_name: str,
    policy_values: Mapping[str, Any],
    report: Mapping[str, float],
) -> Manifest:
    """Writes episodes that fit in memory as a dataset; for those that do not, see `Recording`."""
    draft = draft_manifest(
        env,
        dtypes={sensor: str(episodes[0].observations[sensor].dtype) for sensor in env.sensors},
        policy_name=policy_name,
        policy_values=policy_values,
        backends=(),
        seeds=[episode.seed for episode in episodes],
        lengths=[len(episode.actions) for episode in episodes],
    )
    recording = Recording(folder, draft)
    recording.allocate()
    for index, episode in enumerate(episodes):
        recording.write(index, episode)
    return recording.seal(lengths=draft.lengths, endings=[episode.ending for episode in episodes], report=report)


def _of_length(info: ArrayInfo, num_rows: int) -> ArrayInfo:
    return replace(info, shape=(num_rows, *info.shape[1:]))


def _header(info: ArrayInfo) -> bytes:
    buffer = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(np.dtype(info.dtype).newbyteorder("<"))
    fields = {"descr": descr, "fortran_order": False, "shape": info.shape}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


def _num_bytes(info: ArrayInfo) -> int:
    return len(_header(info)) + int(np.dtype(info.dtype).itemsize) * math.prod(info.shape)


def _allocate(path: Path, info: ArrayInfo) -> None:
    path.touch()
    with path.open("r+b") as file:
        file.write(_header(info))
        file.flush()
        reserve_room(file, _num_bytes(info))
