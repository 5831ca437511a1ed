"""Batches whose parts all have one row a sample: some rows of one, or several joined."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

import torch
from torch import Tensor

_Batch = TypeVar("_Batch")


def choose(batch: _Batch, rows: Tensor) -> _Batch:
    """Returns some of the rows, `[num_chosen]`."""
    return _map([batch], lambda parts: parts[0][rows])


def join(batches: Sequence[_Batch]) -> _Batch:
    """Returns all rows, one batch after the other."""
    return _map(batches, torch.cat)


def _map(batches: Sequence[_Batch], function: Callable[[list[Tensor]], Tensor]) -> _Batch:
    """Returns a batch of which each tensor is made of the same one of all batches."""
    of_each = {it.name: [getattr(batch, it.name) for batch in batches] for it in fields(batches[0])}  # type: ignore[arg-type]
    made: dict[str, Any] = {
        name: function(parts) if isinstance(parts[0], Tensor) else _map(parts, function)
        for name, parts in of_each.items()
    }
    return type(batches[0])(**made)
