"""Acting in other people's processes: what a host sets for torch and NumPy changes no action, and is left as it was."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from world_model.building import undisturbed


class _Forked:
    """Whether this process was forked from another one, and has not computed since."""

    here = False

    @classmethod
    def note(cls) -> None:
        cls.here = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_Forked.note)


@contextmanager
def settings_kept() -> Iterator[None]:
    """Leaves torch's threads, gradients and default dtype as they were, whatever agents and environments set inside."""
    threads, gradients, dtype = torch.get_num_threads(), torch.is_grad_enabled(), torch.get_default_dtype()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)
        torch.set_default_dtype(dtype)


@contextmanager
def own_settings() -> Iterator[None]:
    """Leaves the host's settings of this thread aside: what happens inside is the same whatever they are.

    Without gradients, outside of inference mode, in which nothing could be differentiated, without automatic casts, on
    the CPU where nothing else is said, and without errors for what is rounded or not finite, which is checked where it
    matters. The default dtype is one for the whole process, and no thread's to change: who acts says each dtype.

    A forked process computes with one thread: it has none of those that its parent had, and numerical libraries would
    wait for them for ever.
    """
    if _Forked.here:
        torch.set_num_threads(1)
        _Forked.here = False
    with np.errstate(all="ignore"), undisturbed(), torch.no_grad():
        yield
