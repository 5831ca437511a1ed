"""The streams of the command line, as they are in other people's pipes, services and terminals."""

import errno
import io
import os
import sys
from typing import Any, TextIO

_NOBODY_READS = (errno.EPIPE, errno.EIO)


def prepare_streams() -> None:
    """Lets nothing that is printed stop the work.

    A stream that is closed, or whose reader leaves, as `head` does, swallows what it gets. What a terminal's encoding
    does not have is spelled out. Each line is out when it is printed, in a file or a pipe too.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest that is free, this one
    sys.stdout = _patient(1, sys.stdout)
    sys.stderr = _patient(2, sys.stderr)


def _patient(descriptor: int, stream: TextIO | None) -> TextIO:
    encoding = "utf-8" if stream is None else stream.encoding
    raw = io.BufferedWriter(_Patient(descriptor, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace", line_buffering=True)


class _Patient(io.FileIO):
    def write(self, content: Any, /) -> int:
        """Writes, or throws away what nobody reads."""
        try:
            return super().write(content) or 0
        except OSError as error:
            if error.errno not in _NOBODY_READS:
                raise
            return len(content)
