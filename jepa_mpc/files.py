"""Files that are there as a whole or not at all, and locks where the file system has them."""

import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import IO, Any

from jepa_mpc.errors import UserError

_log = logging.getLogger(__name__)
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)
_NO_ROOM_KEPT = (errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV)
_NO_SYNC = (errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def check_working_folder() -> None:
    """Refuses to work where the working folder was deleted: numerical libraries end the process there.

    Raises:
        UserError: It is not there any more.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError("the working folder is not there any more: change to one that is") from None


def write_whole(path: Path, content: bytes | str) -> None:
    """Writes a file so that whoever reads it, even after a power cut, finds the old content or the new.

    Args:
        path: Where; the folder is made where it is missing.
        content: A text is written in UTF-8.

    Raises:
        OSError: It cannot be written; the old content is still there, no draft is left, and the error names the file.
    """
    draft = path.with_name(f".{path.name}.draft")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        _sync(draft)
        draft.replace(path)
        _sync(path.parent)
    except BaseException as error:
        draft.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(draft)):
            raise OSError(error.errno, error.strerror, str(path)) from None
        raise


def take_lock(file: IO[Any]) -> None:
    """Takes the only lock of an open file, until it is closed; where the file system has no locks, it says so.

    Raises:
        BlockingIOError: Somebody else holds it.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        folder = Path(file.name).parent
        _log.warning(
            "the disk of '%s' has no locks (%s): see to it that nobody else writes there", folder, error.strerror
        )


def reserve_room(file: IO[Any], num_bytes: int) -> None:
    """Gives an open file its final size, and the room for it where the file system can keep some.

    Raises:
        OSError: There is not so much room; the error names the file.
    """
    try:
        os.posix_fallocate(file.fileno(), 0, num_bytes)
    except AttributeError:  # not every system has it
        file.truncate(num_bytes)
    except OSError as error:
        if error.errno not in _NO_ROOM_KEPT:
            raise OSError(error.errno, error.strerror, file.name) from None
        _log.warning(
            "the disk of '%s' keeps no room free (%s): see to it that it does not fill", file.name, error.strerror
        )
        file.truncate(num_bytes)


def _sync(path: Path) -> None:
    """Waits until a file or a folder is on the disk, where its file system can tell."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)
