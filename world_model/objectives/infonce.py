"""InfoNCE: a prediction should be nearer to its own target than to those of other windows."""

import torch
from torch import Generator, Tensor
from torch.nn import functional

from jepa_mpc.ranges import check_number
from world_model.objectives.base import LatentBatch, Regularizer


class InfoNCE(Regularizer):
    """Tells each prediction's target from the others of the batch, block by block and frame by frame.

    The contrastive baseline. At a point all targets look alike, and no prediction could be told from another. The loss
    is that of CPC (van den Oord et al. 2018, eq. 4); the logits are negative squared distances, as the energies of
    C-SWM (Kipf et al. 2020, section 2.3), so that near in the embedding means near in time, which a planner needs.

    Args:
        weight: Of the cross-entropy beside the prediction loss, which keeps distances from growing without end.
        temperature: Squared distance that makes a target e times less likely.
    """

    def __init__(self, *, weight: float, temperature: float) -> None:
        super().__init__()
        check_number("weight", weight, above=0)
        check_number("temperature", temperature, above=0)
        self._weight = weight
        self._temperature = temperature

    def extra_repr(self) -> str:
        """Returns the hyper-parameters."""
        return f"weight={self._weight}, temperature={self._temperature}"

    def loss(self, batch: LatentBatch, generator: Generator) -> Tensor:  # noqa: ARG002 - it draws nothing
        """Returns the weighted mean of the cross-entropy over the blocks."""
        predictions, targets = batch.by_block(batch.predictions), batch.by_block(batch.targets)
        parts = [info_nce(predictions[name], targets[name], temperature=self._temperature) for name in batch.blocks]
        return self._weight * torch.stack(parts).mean()


def info_nce(predictions: Tensor, targets: Tensor, *, temperature: float) -> Tensor:
    """Returns the cross-entropy of finding the target of each prediction among those of its batch.

    It is the logarithm of `batch` where nothing can be told apart, and 0 where each is at its target, far from others.

    Args:
        predictions: `[time, batch, block_dim]`.
        targets: `[time, batch, block_dim]`.
        temperature: Of the softmax over negative squared distances.
    """
    # A squared distance, but for the prediction's own square, which all targets share and a softmax does not see.
    closeness = 2 * predictions @ targets.transpose(1, 2) - targets.square().sum(dim=2)[:, None]
    time, batch, _ = predictions.shape
    own = torch.arange(batch, device=predictions.device).repeat(time)
    return functional.cross_entropy((closeness / temperature).flatten(0, 1), own)
