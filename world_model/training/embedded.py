"""Recorded frames as a model sees them: embedded where they are asked for, or once and for all by a frozen encoder."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from envs.episodes.episode import EpisodeDataset
from world_model.embedding import MAX_PICTURES, embed, largest_part
from world_model.jepa import JEPA
from world_model.training.checkpoint import section_sha256
from world_model.training.tensor_file import CheckpointError, read_tensors, write_tensors

EmbedRows = Callable[[NDArray[np.int64]], Tensor]
"""Rows of a dataset `[...]` to their embeddings `[..., embed_dim]`, on the CPU."""


def embed_rows(model: JEPA, dataset: EpisodeDataset, rows: NDArray[np.int64]) -> Tensor:
    """Reads and embeds recorded frames.

    Args:
        model: In evaluation mode, on any device.
        dataset: Where they lie.
        rows: Which, `[...]`.

    Returns:
        `[..., embed_dim]`, on the CPU.
    """
    flat, size = rows.reshape(-1), largest_part(model)
    parts = [flat[start : start + size] for start in range(0, len(flat), size)]
    embeddings = [
        embed(model, {name: torch.from_numpy(dataset.observations[name][part]) for name in model.sensors})
        for part in parts
    ]
    return torch.cat(embeddings).view(*rows.shape, -1)


class FramesOnce:
    """Embeds recorded frames by one state of a model, each of them once however often it is asked for.

    Args:
        model: In evaluation mode, on any device; its weights stay as they are.
        dataset: Where the frames lie.
    """

    def __init__(self, model: JEPA, dataset: EpisodeDataset) -> None:
        self._model, self._dataset = model, dataset
        num_frames = int((dataset.lengths + 1).sum())
        self._embeddings = torch.empty(num_frames, model.embed_dim, dtype=torch.float32)
        self._known = np.zeros(num_frames, bool)

    def __call__(self, rows: NDArray[np.int64]) -> Tensor:
        """Returns the embeddings of rows `[...]`, `[..., embed_dim]`, on the CPU."""
        new = np.unique(rows[~self._known[rows]])
        if len(new):
            self._embeddings[torch.from_numpy(new)] = embed_rows(self._model, self._dataset, new)
            self._known[new] = True
        return self._embeddings[torch.from_numpy(rows)]


def embed_dataset(model: JEPA, dataset: EpisodeDataset, *, cache: Path | None = None, keep: bool = True) -> Tensor:
    """Embeds every recorded frame, and shows how far it is.

    Args:
        model: In evaluation mode, on any device.
        dataset: What was recorded.
        cache: Where the embeddings are kept, so that no picture is embedded twice; None where they are of no further
            use.
        keep: Whether those that are made are kept there, in place of what another encoder or other data have left.

    Returns:
        `[num_frames, embed_dim]`, on the CPU.
    """
    identity = {"encoders": encoders_sha256(model), "data": dataset.fingerprint}
    if cache is not None and (kept := _kept(cache, identity)) is not None:
        return kept
    num_frames, size = len(next(iter(dataset.observations.values()))), largest_part(model)
    starts = tqdm(
        range(0, num_frames, size), desc="embed", unit="chunk", disable=None if size == MAX_PICTURES else True
    )
    embeddings = torch.cat(
        [embed_rows(model, dataset, np.arange(start, min(start + size, num_frames))) for start in starts]
    )
    if cache is not None and keep:
        write_tensors(cache, {"embeddings": embeddings}, identity)
    return embeddings


def encoders_sha256(model: JEPA) -> str:
    """Returns a hash of all that decides how a model sees, and of nothing that it imagines by."""
    state = model.state_dict()
    return section_sha256({name: it for name, it in state.items() if not name.startswith(_BLIND)})


_BLIND = ("dynamics.", "latent.", "action_encoder.")


def _kept(cache: Path, identity: dict[str, str]) -> Tensor | None:
    """Returns the embeddings that are kept, if they are those."""
    if not cache.is_file():
        return None
    try:
        tensors, header = read_tensors(cache)
    except CheckpointError:
        return None
    return tensors["embeddings"] if header == identity else None
