"""One command at a time works in a folder, and in none that holds something else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.run.config.composing import ConfigError
from jepa_mpc.files import take_lock

LOCK_FILE = ".lock"


def is_taken(folder: Path) -> bool:
    """Returns whether a folder holds anything but our own lock."""
    return folder.is_dir() and any(entry.name != LOCK_FILE for entry in folder.iterdir())


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other commands out of a folder, which is made, for as long as the context lasts.

    Raises:
        ConfigError: Another command is at work there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("w") as file:
        try:
            take_lock(file)
        except BlockingIOError:
            raise ConfigError(f"another jepa-mpc command is at work in '{folder}': wait for it to end") from None
        yield
