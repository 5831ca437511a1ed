"""What an embedding tells of the truth: linear probes of all that was recorded, for those who judge the model."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from envs.episodes.episode import EpisodeDataset
from world_model.probes import LinearProbe, fit_probe, r_squared
from world_model.training.embedded import EmbedRows
from world_model.types import is_image

_RIDGE = 1e-6

LEAST_STD = 1e-3
"""A number that varies less is constant, in its own unit."""


@dataclass(frozen=True)
class FittedProbe:
    """What reads a sensor off an embedding.

    Attributes:
        probe: Reads its numbers that vary.
        varying: `[num_numbers]` bool, which those are of all of its numbers.
    """

    probe: LinearProbe
    varying: Tensor


class ProbedFrames:
    """Frames with all that was recorded of them, from episodes that are learned from and from others.

    Probes are fitted on the former and judged on the latter; nothing that they find reaches the model.

    Args:
        dataset: Where they come from.
        learned: Episodes on which probes are fitted, `[num_learned]`.
        held_out: Episodes on which they are judged, `[num_held_out]`.
        num_frames: Of each side.
        rng: Draws the frames.
    """

    def __init__(
        self,
        dataset: EpisodeDataset,
        *,
        learned: NDArray[np.int64],
        held_out: NDArray[np.int64],
        num_frames: int,
        rng: np.random.Generator,
    ) -> None:
        self._sides = []
        for episodes in (learned, held_out):
            chosen = rng.choice(episodes, num_frames)
            rows = dataset.first_observation[chosen] + rng.integers(dataset.lengths[chosen] + 1)
            truth = {
                name: torch.from_numpy(array[rows]).flatten(1)
                for name, array in dataset.observations.items()
                if not is_image(array.shape[1:])
            }
            self._sides.append((rows, truth))

    @torch.no_grad()
    def fit(self, embed: EmbedRows) -> dict[str, FittedProbe]:
        """Returns a probe of each sensor with numbers that vary on both sides, fitted on learned episodes.

        Args:
            embed: Embeds recorded frames.
        """
        (learned, truth), (_, held_out_truth) = self._sides
        embeddings, probes = embed(learned), {}
        for name, readings in truth.items():
            varying = torch.minimum(readings.std(dim=0), held_out_truth[name].std(dim=0)) > LEAST_STD
            if bool(varying.any()):
                probe = fit_probe(embeddings, readings[:, varying], ridge=_RIDGE)
                probes[name] = FittedProbe(probe=probe, varying=varying)
        return probes

    @torch.no_grad()
    def judge(self, embed: EmbedRows, probes: Mapping[str, FittedProbe]) -> dict[str, float]:
        """Returns `probe/<sensor>`: R² on held-out episodes, of the numbers of a sensor that vary.

        Args:
            embed: Embeds recorded frames.
            probes: Of `fit`.
        """
        held_out, truth = self._sides[1]
        embeddings = embed(held_out)
        return {
            f"probe/{name}": r_squared(fitted.probe(embeddings), truth[name][:, fitted.varying])
            for name, fitted in probes.items()
        }
