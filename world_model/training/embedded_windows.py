"""Windows of embeddings, drawn so that contact has its share."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs.episodes.episode import EpisodeDataset
from world_model.jepa import JEPA
from world_model.training.data import WindowSampler
from world_model.training.own_motion import OwnMotion

CONTACT_QUANTILE = 0.8
"""Windows that change more than this share of them, beyond the robot's own motion, are taken to be of contact."""

_MOST_FITTED = 20_000
_CHUNK = 65_536


class EmbeddedWindows:
    """Draws windows of embeddings and actions from chosen episodes; none crosses an episode's end.

    Args:
        embeddings: `[num_frames, embed_dim]`, of every frame of the dataset.
        dataset: What was recorded.
        episodes: Which episodes, `[num_chosen]`.
        model: Which embedded them.
        num_frames: Of a window.
        contact_share: Of a batch, drawn from windows of contact; see `CONTACT_QUANTILE`.
        rng: Draws what the robot's own motion is fitted to.

    Raises:
        DatasetError: No chosen episode is long enough.
    """

    def __init__(
        self,
        embeddings: Tensor,
        *,
        dataset: EpisodeDataset,
        episodes: NDArray[np.int64],
        model: JEPA,
        num_frames: int,
        contact_share: float,
        rng: np.random.Generator,
    ) -> None:
        self._embeddings, self._contact_share = embeddings, contact_share
        self._windows, steps = (
            WindowSampler(dataset, sensors=[], episodes=episodes, num_frames=length, action_repeat=model.action_repeat)
            for length in (num_frames, 2)
        )
        self._contact = np.zeros(0, np.int64)
        if contact_share > 0:
            unexplained = _unexplained(steps, embeddings, model, rng)
            numbers = np.arange(len(self._windows))
            most = np.concatenate(
                [
                    unexplained[self._windows.rows(numbers[start : start + _CHUNK])[:, :-1]].max(axis=1)
                    for start in range(0, len(numbers), _CHUNK)
                ]
            )
            self._contact = numbers[most >= np.quantile(most, CONTACT_QUANTILE)]

    def __len__(self) -> int:
        """How many different windows there are."""
        return len(self._windows)

    def sample(self, batch_size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draws windows, with replacement: embeddings `[batch, time, embed_dim]`, actions `[batch, time - 1, ...]`."""
        num_contact = round(self._contact_share * batch_size)
        numbers = rng.integers(len(self), size=batch_size)
        if num_contact:
            numbers[:num_contact] = rng.choice(self._contact, num_contact)
        return self[numbers]

    def __getitem__(self, windows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Returns the windows of the given numbers, `[batch]`."""
        return self._embeddings[torch.from_numpy(self._windows.rows(windows))], self._windows.actions(windows)


@torch.no_grad()
def _unexplained(
    steps: WindowSampler, embeddings: Tensor, model: JEPA, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Returns how far each frame changes beyond the robot's own motion in the model step behind it, `[num_frames]`."""

    def of(numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], tuple[Tensor, Tensor, Tensor]]:
        before, after = steps.rows(numbers).T
        actions = model.action_encoder(steps.actions(numbers).to(model.device)).cpu()
        return before, (embeddings[torch.from_numpy(before)], actions[:, 0], embeddings[torch.from_numpy(after)])

    own_motion = OwnMotion.fit(*of(rng.permutation(len(steps))[:_MOST_FITTED])[1])
    sizes = np.zeros(len(embeddings))
    for start in range(0, len(steps), _CHUNK):
        before, changes = of(np.arange(start, min(start + _CHUNK, len(steps))))
        sizes[before] = own_motion.unexplained(*changes).norm(dim=1).numpy()
    return sizes
