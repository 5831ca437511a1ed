"""What an embedding tells of the truth: linear probes of all that was recorded, for those who judge the model."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from envs.episodes.episode import EpisodeDataset
from world_model.embedding import embed
from world_model.jepa import JEPA
from world_model.probes import fit_probe, r_squared
from world_model.types import is_image

_RIDGE = 1e-6

LEAST_STD = 1e-3
"""A number that varies less is constant, in its own unit."""


class ProbedFrames:
    """Frames with all that was recorded of them, from episodes that are learned from and from others.

    Probes are fitted on the former and judged on the latter; nothing that they find reaches the model.

    Args:
        dataset: Where they come from.
        sensors: What the model sees.
        learned: Episodes on which probes are fitted, `[num_learned]`.
        held_out: Episodes on which they are judged, `[num_held_out]`.
        num_frames: Of each side.
        rng: Draws the frames.
    """

    def __init__(
        self,
        dataset: EpisodeDataset,
        *,
        sensors: Iterable[str],
        learned: NDArray[np.int64],
        held_out: NDArray[np.int64],
        num_frames: int,
        rng: np.random.Generator,
    ) -> None:
        self._sides = []
        for episodes in (learned, held_out):
            chosen = rng.choice(episodes, num_frames)
            rows = dataset.first_observation[chosen] + rng.integers(dataset.lengths[chosen] + 1)
            seen = {name: torch.from_numpy(dataset.observations[name][rows]) for name in sensors}
            truth = {
                name: torch.from_numpy(array[rows]).flatten(1)
                for name, array in dataset.observations.items()
                if not is_image(array.shape[1:])
            }
            self._sides.append((seen, truth))

    @torch.no_grad()
    def measure(self, model: JEPA) -> dict[str, float]:
        """Returns `probe/<sensor>`: R² on held-out episodes, of the numbers of a sensor that vary.

        Args:
            model: In evaluation mode.
        """
        (learned, truth), (held_out, held_out_truth) = self._sides
        embeddings, held_out_embeddings = embed(model, learned), embed(model, held_out)
        scores = {}
        for name, readings in truth.items():
            unseen = held_out_truth[name]
            varying = torch.minimum(readings.std(dim=0), unseen.std(dim=0)) > LEAST_STD
            if bool(varying.any()):
                probe = fit_probe(embeddings, readings[:, varying], ridge=_RIDGE)
                scores[f"probe/{name}"] = r_squared(probe(held_out_embeddings), unseen[:, varying])
        return scores
