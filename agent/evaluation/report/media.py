"""Pictures and films as a part of the page."""

from base64 import b64encode
from pathlib import Path

from agent.evaluation.report.document import Picture

_TYPES = {"gif": "image/gif", "mp4": "video/mp4", "png": "image/png", "webp": "image/webp"}


def embed(path: Path, alternative: str) -> Picture:
    """Returns a picture or a film with all its bytes.

    Args:
        path: Its suffix says what it is.
        alternative: What is seen in it, for who does not see it.

    Raises:
        OSError: It cannot be read.
    """
    kind = _TYPES[path.suffix.removeprefix(".")]
    data = b64encode(path.read_bytes()).decode("ascii")
    return Picture(source=f"data:{kind};base64,{data}", alternative=alternative, is_video=kind.startswith("video/"))
