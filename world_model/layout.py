"""How an embedding is divided: a block a sensor, and which blocks can be compared number by number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """How an embedding is divided.

    Blocks of one kind are in the same unit and scale, so that the difference of two of them means something: where one
    thing is, seen from the other.

    Attributes:
        blocks: Sensor name to its place in an embedding; together they fill it.
        kinds: Groups of sensors whose blocks are of one kind and size, at least two in each.
    """

    blocks: Mapping[str, slice]
    kinds: Sequence[Sequence[str]] = field(default=())

    @property
    def embed_dim(self) -> int:
        """The size of an embedding."""
        return sum(_size(block) for block in self.blocks.values())

    @property
    def seen_dim(self) -> int:
        """The size of an embedding with all differences."""
        return self.embed_dim + sum(_size(first) for first, _ in self._pairs)

    def seen(self, embeddings: Tensor) -> Tensor:
        """Returns embeddings `[..., embed_dim]`, and behind them the difference of each two blocks of one kind.

        Returns:
            `[..., seen_dim]`; the embeddings themselves, where no two blocks are of one kind.
        """
        if not self.kinds:
            return embeddings
        return torch.cat(
            [embeddings, *(embeddings[..., first] - embeddings[..., second] for first, second in self._pairs)], dim=-1
        )

    @property
    def _pairs(self) -> list[tuple[slice, slice]]:
        pairs = (pair for kind in self.kinds for pair in combinations(kind, 2))
        return [(self.blocks[first], self.blocks[second]) for first, second in pairs]


def _size(block: slice) -> int:
    return int(block.stop - block.start)
