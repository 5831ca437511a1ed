"""Files of JSON objects, a line each, which an interruption may cut short at any moment."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def line(content: Mapping[str, Any]) -> bytes:
    """Returns an object as a line."""
    return json.dumps(content, allow_nan=False).encode() + b"\n"


def whole_lines(content: bytes) -> Iterator[tuple[dict[str, Any], int]]:
    """Yields the objects of a journal, each with the number of bytes up to its end.

    It ends before the first line that was not written to its end or is no object: what comes behind is done again.
    """
    num_bytes = 0
    for text in content.splitlines(keepends=True):
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(data, dict) or not text.endswith(b"\n"):
            return
        num_bytes += len(text)
        yield data, num_bytes
