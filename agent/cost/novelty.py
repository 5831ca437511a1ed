"""Novelty: how far what is imagined lies from what the world model was trained on."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from agent.cost.statistics import FittedCost, TrainingStatistics
from jepa_mpc.ranges import check_count, check_number
from world_model.types import LatentGoal, LatentTrajectory

LEAST_RADIUS = 0.01
"""In units of embeddings, which vary by about 1: below it distances are rounding."""


class Novelty(FittedCost):
    """Distance from the nearest of some centres of the training data, block by block, beyond what is usual there.

    Each block has its own centres (k-means; Lloyd 1982) and its own radius, within which `quantile` of the training
    data lies and novelty is 0. Blocks are judged one by one: where few centres cover a block densely, they would cover
    all blocks together so thinly that the distance says little. So two blocks that are each familiar but never occur
    together are not novel.

    Args:
        num_centers: Of a block, at least 1.
        num_iterations: Of k-means, at least 1.
        quantile: Share of the training data that is not novel, in 0..1.
        blocks: Sensor name to its place in the embedding.
        sensors: Sensor name to the shape of its reading, of all recorded sensors; any will do.
    """

    centers: Tensor
    radius: Tensor

    def __init__(
        self,
        *,
        num_centers: int,
        num_iterations: int,
        quantile: float,
        blocks: Mapping[str, slice],
        sensors: Mapping[str, tuple[int, ...]],  # noqa: ARG002
    ) -> None:
        super().__init__()
        check_count("num_centers", num_centers, least=1)
        check_count("num_iterations", num_iterations, least=1)
        check_number("quantile", quantile, least=0, most=1)
        self._num_iterations = num_iterations
        self._quantile = quantile
        self._blocks = tuple(blocks.values())
        embed_dim = max(block.stop for block in self._blocks)
        self.register_buffer("centers", torch.full((num_centers, embed_dim), math.nan, dtype=torch.float32))
        self.register_buffer("radius", torch.full((len(self._blocks),), math.nan, dtype=torch.float32))

    @torch.no_grad()
    def fit(self, statistics: TrainingStatistics) -> None:
        """Finds the centres of each block, and how far from them the training data lie.

        Of fewer frames than centres each is a centre, and the first ones are more than once.
        """
        num_centers, rows = len(self.centers), len(statistics.embeddings)
        for index, block in enumerate(self._blocks):
            embeddings = statistics.embeddings[:, block]
            if rows < num_centers:
                embeddings = embeddings[torch.arange(num_centers, device=embeddings.device) % rows]
            centers = find_centers(embeddings, num_centers=num_centers, num_iterations=self._num_iterations)
            self.centers[:, block] = centers
            distances = _squared_distance(embeddings, centers).clamp_min(0.0).sqrt()
            self.radius[index] = torch.quantile(distances, self._quantile).clamp_min(LEAST_RADIUS)

    def forward(self, trajectory: LatentTrajectory, goal: LatentGoal) -> Tensor:  # noqa: ARG002
        """Returns the distance beyond the radius, in units of embeddings, summed over blocks and horizon.

        Distances are root mean squares over a block's dimensions. The result is `[batch, num_samples]`.
        """
        embeddings = trajectory.embeddings.flatten(0, 2)
        novelty = embeddings.new_zeros(len(embeddings))
        for block, radius in zip(self._blocks, self.radius, strict=True):
            squares = _squared_distance(embeddings[:, block], self.centers[:, block])
            # Not less than the radius before the root, whose slope at 0 is infinite.
            novelty = novelty + squares.clamp_min(radius.square()).sqrt() - radius
        return novelty.view(trajectory.embeddings.shape[:3]).sum(dim=2)


def find_centers(embeddings: Tensor, *, num_centers: int, num_iterations: int) -> Tensor:
    """Returns k-means centres, `[num_centers, size]`.

    The first rows are where they start; a centre that is nearest to no row stays where it is.

    Args:
        embeddings: `[rows, size]`, in random order.
        num_centers: At most `rows`.
        num_iterations: Of Lloyd's algorithm.
    """
    centers = embeddings[:num_centers]
    for _ in range(num_iterations):
        nearest = torch.cdist(embeddings, centers).argmin(dim=1)
        counts = torch.bincount(nearest, minlength=num_centers)[:, None]
        sums = torch.zeros_like(centers).index_add_(0, nearest, embeddings)
        centers = torch.where(counts > 0, sums / counts.clamp_min(1), centers)
    return centers


def _squared_distance(embeddings: Tensor, centers: Tensor) -> Tensor:
    """Returns the squared distance to the nearest centre, the mean over dimensions.

    Args:
        embeddings: `[rows, size]`.
        centers: `[num_centers, size]`.

    Returns:
        `[rows]`; rounding may leave it just below 0.
    """
    # |x - c|^2 = |x|^2 + (|c|^2 - 2 x c), several times as fast as `torch.cdist`; what is in brackets, for each centre:
    relative = torch.addmm(centers.square().sum(dim=1), embeddings, centers.T, alpha=-2.0)  # [rows, num_centers]
    return (embeddings.square().sum(dim=1) + relative.amin(dim=1)) / centers.shape[1]
