"""How often the evaluation split of a run was looked at: who looks often, and chooses by what is seen, tunes on it."""

import logging
from datetime import UTC, datetime
from pathlib import Path

from agent.evaluation.seeds import Entries
from jepa_mpc.journal import line, whole_lines

LOOKS_FILE = "looks.jsonl"
"""Where in a run folder each look at its evaluation split stands, a line each."""

_log = logging.getLogger(__name__)


def count_looks(run_folder: Path, entries: Entries, *, fingerprint: str) -> int:
    """Returns how often the evaluation split of a run was looked at, this time included, and notes it.

    The same agent on the same entries once more shows nothing new, and is no further look; nor is the validation split.

    Args:
        run_folder: Of the run.
        entries: That are looked at.
        fingerprint: Of all that their records depend on.
    """
    path = run_folder / LOOKS_FILE
    content = path.read_bytes() if path.is_file() else b""
    lines = [it for text in content.splitlines(keepends=True) for it, _ in whole_lines(text)]  # each may be damaged
    looks = {(it.get("entries"), it.get("fingerprint")) for it in lines}
    if entries.split != "evaluation" or (str(entries), fingerprint) in looks:
        return len(looks)
    look = {
        "entries": str(entries),
        "fingerprint": fingerprint,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    try:
        with path.open("ab") as file:  # a line is written at once, whoever else writes
            file.write(b"\n" * (not content.endswith(b"\n") and content != b"") + line(look))
    except OSError as error:
        _log.warning("this look at the evaluation split is not noted: '%s': %s", path, error.strerror)
    return len(looks) + 1
