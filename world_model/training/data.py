"""Episodes on the disk to windows in memory."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs.episodes.episode import DatasetError, EpisodeDataset
from world_model.normalizer import Moments
from world_model.types import Windows

_CHUNK = 65_536
_FILM_CHUNK = 64


class WindowSampler:
    """Draws windows from chosen episodes of a dataset; all windows are equally likely, none crosses an episode's end.

    Args:
        dataset: Where they come from.
        sensors: What is read.
        episodes: Which episodes, `[num_chosen]`.
        num_frames: Of a window.
        action_repeat: Control steps from one frame to the next.

    Raises:
        DatasetError: The dataset lacks a sensor, or no chosen episode is long enough.
    """

    def __init__(
        self,
        dataset: EpisodeDataset,
        *,
        sensors: Iterable[str],
        episodes: NDArray[np.int64],
        num_frames: int,
        action_repeat: int,
    ) -> None:
        self._sensors = {name: _readings(dataset, name) for name in sensors}
        self._actions = np.asarray(dataset.actions)
        self._num_frames = num_frames
        self._action_repeat = action_repeat
        num_steps = (num_frames - 1) * action_repeat
        lengths = dataset.lengths[episodes]
        self._ends = np.cumsum(np.maximum(lengths + 1 - num_steps, 0))  # of the windows of each episode, in one count
        if len(self) == 0:
            raise DatasetError(
                f"windows of {num_frames} frames take {num_steps} control steps, the longest of the {len(episodes)} "
                f"chosen episodes has {lengths.max(initial=0)}: record longer episodes or choose a shorter rollout"
            )
        before = np.concatenate([[0], self._ends[:-1]])
        self._row_shift = dataset.first_observation[episodes] - before
        self._action_shift = dataset.first_action[episodes] - before

    def __len__(self) -> int:
        """How many different windows there are."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def sample(self, batch_size: int, rng: np.random.Generator) -> Windows:
        """Draws windows, with replacement."""
        return self[rng.integers(len(self), size=batch_size)]

    def __getitem__(self, windows: NDArray[np.int64]) -> Windows:
        """Returns the windows of the given numbers, `[batch]`."""
        rows = self.rows(windows)
        return Windows(
            observation={
                name: torch.from_numpy(np.take(readings, rows, axis=0)) for name, readings in self._sensors.items()
            },
            actions=self.actions(windows),
        )

    def rows(self, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Returns where the frames of windows `[batch]` lie in the dataset, `[batch, num_frames]`."""
        first = windows + self._row_shift[np.searchsorted(self._ends, windows, side="right")]
        rows: NDArray[np.int64] = first[:, None] + self._action_repeat * np.arange(self._num_frames)
        return rows

    def actions(self, windows: NDArray[np.int64]) -> Tensor:
        """Returns the model actions of windows `[batch]`, `[batch, num_frames - 1, action_dim]`."""
        first = windows + self._action_shift[np.searchsorted(self._ends, windows, side="right")]
        num_steps = self._num_frames - 1
        steps = first[:, None] + np.arange(num_steps * self._action_repeat)
        return torch.from_numpy(np.take(self._actions, steps, axis=0)).view(len(windows), num_steps, -1)


def long_enough(dataset: EpisodeDataset, *, num_steps: int) -> NDArray[np.int64]:
    """Returns the episodes of at least `num_steps` control steps; of the others nothing can be learned.

    Raises:
        DatasetError: There are fewer than two, and one to learn from and one to validate on are needed.
    """
    usable = np.flatnonzero(dataset.lengths >= num_steps)
    if len(usable) < 2:
        raise DatasetError(
            f"training needs at least 2 episodes of {num_steps} control steps or more, one of them to validate on; of "
            f"the {dataset.num_episodes} in {dataset.folder} {len(usable)} are so long, the longest has "
            f"{dataset.lengths.max(initial=0)}: record longer ones, or choose a shorter rollout"
        )
    return usable


def split_episodes(
    num_episodes: int, *, validation_fraction: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the episodes to learn from and those to validate on; each has at least one.

    Raises:
        DatasetError: There are fewer than two episodes.
    """
    if num_episodes < 2:
        raise DatasetError(f"training needs at least 2 episodes, one of them to validate on, got {num_episodes}")
    num_validation = min(max(round(validation_fraction * num_episodes), 1), num_episodes - 1)
    order = rng.permutation(num_episodes)
    return np.sort(order[num_validation:]), np.sort(order[:num_validation])


def sensor_moments(dataset: EpisodeDataset, sensor: str, episodes: NDArray[np.int64]) -> Moments:
    """Returns the moments of a sensor over all frames of the chosen episodes.

    Raises:
        DatasetError: The dataset lacks the sensor, or a reading is not finite.
    """
    rows = _rows(dataset.first_observation[episodes], dataset.lengths[episodes] + 1)
    moments = _moments(_readings(dataset, sensor), rows)
    _check_finite(dataset, f"the sensor '{sensor}'", moments)
    return moments


def check_camera(dataset: EpisodeDataset, sensor: str) -> None:
    """Raises `DatasetError` where a camera shows the same picture all the time, or the dataset lacks it."""
    frames = _readings(dataset, sensor)
    chunks = (frames[start : start + _FILM_CHUNK] for start in range(0, len(frames), _FILM_CHUNK))
    if all((chunk == frames[0]).all() for chunk in chunks):
        raise DatasetError(
            f"the camera '{sensor}' of the dataset {dataset.folder} shows the same picture in all {len(frames)} "
            "frames: it sees nothing that moves"
        )


def action_moments(dataset: EpisodeDataset, episodes: NDArray[np.int64]) -> Moments:
    """Returns the moments of the control actions of the chosen episodes.

    Raises:
        DatasetError: An action is not finite.
    """
    moments = _moments(np.asarray(dataset.actions), _rows(dataset.first_action[episodes], dataset.lengths[episodes]))
    _check_finite(dataset, "the actions", moments)
    return moments


def _readings(dataset: EpisodeDataset, sensor: str) -> NDArray[Any]:
    if sensor not in dataset.observations:
        raise DatasetError(
            f"the dataset {dataset.folder} has no sensor '{sensor}', it has {sorted(dataset.observations)}"
        )
    return np.asarray(dataset.observations[sensor])


def _rows(first: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.arange(start, start + size) for start, size in zip(first, count, strict=True)])


def _check_finite(dataset: EpisodeDataset, what: str, moments: Moments) -> None:
    if not (np.isfinite(moments.mean).all() and np.isfinite(moments.std).all()):
        raise DatasetError(
            f"{what} of the dataset {dataset.folder} must be finite, and somewhere it is not: "
            f"`jepa-mpc check-data {dataset.folder}` says where"
        )


@np.errstate(invalid="ignore")  # a reading that is not finite gives moments that are not
def _moments(array: NDArray[Any], rows: NDArray[np.int64]) -> Moments:
    """Returns the moments of rows that need not fit in memory; shifted by the first one, they lose no digits."""
    shift = array[rows[0]].astype(np.float64)
    total, total_square = np.zeros_like(shift), np.zeros_like(shift)
    for start in range(0, len(rows), _CHUNK):
        chunk = array[rows[start : start + _CHUNK]] - shift
        total += chunk.sum(axis=0)
        total_square += np.square(chunk).sum(axis=0)
    mean = total / len(rows)
    return Moments(mean=shift + mean, std=np.sqrt(np.maximum(total_square / len(rows) - mean**2, 0)))
