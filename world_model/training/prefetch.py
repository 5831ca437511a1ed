"""Batches that are fetched from the disk while the one before is learned from."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Batch = TypeVar("Batch")


class Prefetch(Generic[Batch]):
    """Calls a function of the step one step ahead, in a thread of its own.

    Args:
        fetch: Returns the batch of a step; it depends on nothing else, so that a training goes on at any step.
    """

    def __init__(self, fetch: Callable[[int], Batch]) -> None:
        self._fetch = fetch
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="prefetch")
        self._step = 0
        self._next: Future[Batch] | None = None

    def get(self, step: int) -> Batch:
        """Returns the batch of a step, and begins to fetch that of the next."""
        ready = self._next if self._next is not None and self._step == step else None
        batch = self._fetch(step) if ready is None else ready.result()
        self._step, self._next = step + 1, self._executor.submit(self._fetch, step + 1)
        return batch
