"""Is a dataset what it says it is? Whole, finite, and repeatable in the simulator, camera frames included."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.episodes.episode import DatasetError, EpisodeDataset, array_path, open_dataset
from envs.rendering import BACKENDS, probe_backend
from envs.types import Task, TaskFactory
from envs.vision import Vision
from jepa_mpc.errors import is_refusal

TOLERANCE = 0.01
"""How far a replay may be off, as a share of the sensor's spread: other versions and processors round otherwise."""

FRAME_TOLERANCE = 1.0
"""How far a frame may be off, in the mean over its pixels, grey levels of 256: other drivers smooth edges otherwise."""

_CHUNK_ROWS = 65_536


@dataclass(frozen=True)
class CheckReport:
    """What was found in a dataset.

    Attributes:
        num_episodes: How many there are.
        num_steps: Of all of them together.
        num_replayed: Episodes that were repeated in the simulator; of all others, only the start.
        num_identical: How many of these repeated to the last bit.
        problems: One sentence each; a good dataset has none.
        notes: What could not be compared here, one sentence each; no problem of the dataset.
    """

    num_episodes: int
    num_steps: int
    num_replayed: int
    num_identical: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        if self.problems:
            return "\n".join([*self.problems, *self.notes])
        good = (
            f"{self.num_episodes} episodes, {self.num_steps} steps: whole, finite and within bounds; "
            f"{self.num_replayed} episodes replayed in the simulator, {self.num_identical} of them equal bit for bit"
        )
        return "\n".join([good, *self.notes])


def check_dataset(folder: Path, *, make_task: TaskFactory, num_replays: int) -> CheckReport:
    """Reads all of a dataset, and repeats episodes in the simulator.

    Args:
        folder: Of the dataset.
        make_task: Makes the task that it comes from.
        num_replays: How many episodes to repeat, evenly spread; the start of every episode is compared anyway.

    Raises:
        DatasetError: The folder holds no dataset, or one that cannot be opened: a file is missing, say, or truncated.
    """
    dataset = open_dataset(folder)
    problems = [*_wrong_checksums(dataset), *_wrong_values(dataset)]
    notes: list[str] = []
    replays: list[_Replay] = []
    try:
        vision = recorded_vision(dataset)
        with closing(make_task(vision=vision, film_size=None)) as task:
            problems += _wrong_env(dataset, task)
    except ValueError as error:
        if not is_refusal(error):
            raise
        problems.append(f"{dataset.manifest.env.task_id} shows no such frames as were recorded: {error}")
    if not problems:
        if vision is not None:
            notes += _undrawn(vision.backends)
        replays = _replays(dataset, make_task, None if notes else vision, num_replays)
        problems += _wrong_replays(replays)
    full = [replay for replay in replays if replay.is_full]
    return CheckReport(
        num_episodes=dataset.num_episodes,
        num_steps=len(dataset.actions),
        num_replayed=len(full),
        num_identical=sum(replay.is_identical for replay in full),
        problems=tuple(problems),
        notes=tuple(notes),
    )


def recorded_vision(dataset: EpisodeDataset) -> Vision | None:
    """Returns the cameras that episodes were recorded with, or None where there were none.

    Raises:
        ValueError: There are no such cameras.
    """
    env, backends = dataset.manifest.env, dataset.manifest.backends
    if not backends:
        return None
    return Vision(
        cameras=tuple(name.removesuffix("_camera") for name in env.asked),
        image_size=max((env.sensors[name].shape[0] for name in env.asked), default=0),
        proprioception=any(not env.sensors[name].is_image for name in env.perceived),
        backends=backends,
    )


def check_checksums(dataset: EpisodeDataset) -> None:
    """Makes sure that the data are what was recorded.

    Raises:
        DatasetError: A file was changed.
    """
    for problem in _wrong_checksums(dataset):
        raise DatasetError(f"{dataset.folder} is damaged: {problem}")


def _wrong_checksums(dataset: EpisodeDataset) -> Iterator[str]:
    for sensor, info in [*dataset.manifest.observations.items(), (None, dataset.manifest.actions)]:
        path = array_path(dataset.folder, sensor)
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
        if checksum != info.sha256:
            yield f"{path} was changed: its SHA-256 is {checksum}, the manifest says {info.sha256}"


def _wrong_values(dataset: EpisodeDataset) -> Iterator[str]:
    for sensor, array in dataset.observations.items():
        row = None if array.dtype == np.uint8 else _first_row(array, lambda rows: ~np.isfinite(rows))
        if row is not None:
            where = _place(dataset, dataset.first_observation, row)
            yield f"{sensor} must be finite, {where} it is {array[row].tolist()}"
    actions = dataset.manifest.env.actions
    row = _first_row(dataset.actions, lambda rows: ~actions.contains(rows))
    if row is not None:
        where = _place(dataset, dataset.first_action, row)
        yield f"actions must be {actions}, {where} one is {dataset.actions[row].tolist()}"


def _wrong_env(dataset: EpisodeDataset, task: Task) -> Iterator[str]:
    for key, (there, here) in dataset.manifest.env.differences(task.spec).items():
        yield (
            f"the episodes come from {dataset.manifest.env.task_id} with {key}={there}, "
            f"the one installed here has {key}={here}: they cannot be replayed"
        )


def _undrawn(backends: Sequence[str]) -> Iterator[str]:
    """Says which frames cannot be drawn again."""
    for backend in backends:
        if backend not in BACKENDS:
            yield f"frames were not compared: nothing is known of the renderer {backend!r} that drew them"
        elif not (probe := probe_backend(backend)).works:
            yield f"frames were not compared: {probe.message}"


@dataclass(frozen=True)
class _Replay:
    """An episode repeated in the simulator, beside its record.

    Attributes:
        is_full: The whole of it was repeated, not only its start.
        is_identical: No bit differs.
        deviates_at: The first step at which it differs by more than the tolerance, or None.
        deviation: What differs there, for people.
    """

    is_full: bool
    is_identical: bool
    deviates_at: int | None
    deviation: str


def _replays(dataset: EpisodeDataset, make_task: TaskFactory, vision: Vision | None, num_replays: int) -> list[_Replay]:
    num_full = min(num_replays, dataset.num_episodes)
    full = set(np.linspace(0, dataset.num_episodes - 1, num_full).round().astype(int).tolist())
    cameras = () if vision is None else vision.sensors
    with closing(make_task(vision=vision, film_size=None)) as task:
        tolerances = {
            sensor: FRAME_TOLERANCE if sensor in cameras else TOLERANCE * float(np.ptp(array, axis=0).max())
            for sensor, array in dataset.observations.items()
            if sensor in task.spec.sensors
        }
        return [
            _replay(dataset, task, index, tolerances, is_full=index in full) for index in range(dataset.num_episodes)
        ]


def _replay(
    dataset: EpisodeDataset, task: Task, index: int, tolerances: Mapping[str, float], *, is_full: bool
) -> _Replay:
    recorded, actions = dataset.episode(index)
    seed = dataset.manifest.seeds[index]
    is_identical = True
    frame = task.reset(seed)
    for time in range(len(actions) + 1 if is_full else 1):
        if time > 0:
            frame = task.step(np.array(actions[time - 1]))
        for sensor, reading in frame.readings.items():
            difference = _difference(recorded[sensor][time], reading)
            is_identical = is_identical and difference == 0
            if difference > tolerances[sensor]:
                deviation = (
                    f"in episode {index} (seed {seed}) {sensor} differs by {difference:.3g} at step {time}, "
                    f"where at most {tolerances[sensor]:.3g} is allowed"
                )
                return _Replay(is_full, is_identical=False, deviates_at=time, deviation=deviation)
    return _Replay(is_full, is_identical=is_identical, deviates_at=None, deviation="")


def _difference(recorded: NDArray[Any], reading: NDArray[Any]) -> float:
    """Returns how far a reading is off: its worst number, or the mean over the pixels of a frame."""
    differences = np.abs(recorded.astype(np.float64) - reading)
    return float(differences.mean() if reading.dtype == np.uint8 else differences.max())


def _wrong_replays(replays: list[_Replay]) -> Iterator[str]:
    starts = [replay.deviation for replay in replays if replay.deviates_at == 0]
    if starts:
        yield f"{len(starts)} of {len(replays)} episodes do not start where their seed starts them: {starts[0]}"
    courses = [replay.deviation for replay in replays if replay.deviates_at]
    if courses:
        num_full = sum(replay.is_full for replay in replays)
        yield f"{len(courses)} of {num_full} replayed episodes do not follow from their actions: {courses[0]}"


def _first_row(array: NDArray[Any], is_bad: Callable[[NDArray[Any]], NDArray[np.bool_]]) -> int | None:
    """Returns the first row of an array, which need not fit in memory, with a bad entry."""
    for start in range(0, len(array), _CHUNK_ROWS):
        chunk = array[start : start + _CHUNK_ROWS]
        bad = is_bad(chunk).reshape(len(chunk), -1).any(axis=1)
        if bad.any():
            return start + int(bad.argmax())
    return None


def _place(dataset: EpisodeDataset, first: NDArray[np.int64], row: int) -> str:
    episode = int(np.searchsorted(first, row, side="right")) - 1
    return f"in episode {episode} (seed {dataset.manifest.seeds[episode]}) at step {row - int(first[episode])}"
