"""Modules in other people's processes: what a host sets for torch changes no weight, and is left as it was."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Generator, nn
from torch.overrides import TorchFunctionMode

DEVICE_TYPES = ("cpu", "cuda")

_INITIALISERS = (
    nn.init.uniform_,
    nn.init.normal_,
    nn.init.trunc_normal_,
    nn.init.kaiming_uniform_,
    nn.init.kaiming_normal_,
    nn.init.xavier_uniform_,
    nn.init.xavier_normal_,
    nn.init.orthogonal_,
)
_DRAWS = {torch.rand, torch.randn, torch.Tensor.uniform_, torch.Tensor.normal_, *_INITIALISERS}
_OF_DEFAULT_DTYPE = {torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.eye, torch.linspace}


@contextmanager
def building(generator: Generator) -> Iterator[None]:
    """Lets modules be built: 32-bit weights on the CPU that can be trained, drawn from a generator of one's own.

    It holds for this thread alone, so that several may build at once: torch's global generator is not touched, and
    neither is its default dtype, which is one for the whole process.

    Args:
        generator: Of all first weights, on the CPU.
    """
    with undisturbed(), torch.enable_grad(), _Explicit(generator):
        yield


def undisturbed() -> ExitStack:
    """Leaves inference mode, automatic casts and another default device of this thread's host aside."""
    stack = ExitStack()
    if torch.is_inference_mode_enabled():
        stack.enter_context(torch.inference_mode(False))
    for device_type in DEVICE_TYPES:
        if torch.is_autocast_enabled(device_type):
            stack.enter_context(torch.autocast(device_type, enabled=False))
    if torch.empty(0).device.type != "cpu":
        stack.enter_context(torch.device("cpu"))
    return stack


class _Explicit(TorchFunctionMode):
    """Says of each new tensor what torch would take from settings of the whole process."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self._generator = generator

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        if func in _OF_DEFAULT_DTYPE and named.get("dtype") is None:
            named["dtype"] = torch.float32
        if func in _DRAWS and named.get("generator") is None:
            named["generator"] = self._generator
        return func(*args, **named)
