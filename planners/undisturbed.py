"""Planning in other people's processes: what a host sets for torch changes no plan, and is left as it was."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

_DEVICE_TYPES = ("cpu", "cuda")


def undisturbed(function: Callable[P, R]) -> Callable[P, R]:
    """Runs a function without gradients, and outside of the inference mode and automatic casts of its caller.

    In inference mode nothing could be differentiated, and automatic casts would round what is compared. Settings of
    the whole process, such as the default dtype and device, cannot be left for one thread alone: here every tensor
    takes them from the inputs instead.
    """

    @wraps(function)
    def alone(*args: P.args, **kwargs: P.kwargs) -> R:
        if not torch.compiler.is_compiling() and torch.is_inference_mode_enabled():
            with torch.inference_mode(False):
                return alone(*args, **kwargs)
        for device_type in _DEVICE_TYPES:
            if torch.is_autocast_enabled(device_type):
                with torch.autocast(device_type, enabled=False):
                    return alone(*args, **kwargs)
        with torch.no_grad():
            return function(*args, **kwargs)

    return alone
