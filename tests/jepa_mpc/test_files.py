import errno
import fcntl
import logging
import os
from pathlib import Path

import pytest

from jepa_mpc.files import reserve_room, take_lock, write_whole


def fail_in_the_middle(monkeypatch, error):
    write_bytes = Path.write_bytes

    def fail(path, content):
        write_bytes(path, content[:1])
        raise error(path)

    monkeypatch.setattr(Path, "write_bytes", fail)


def test_a_file_is_there_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "été (1).json"
    write_whole(path, "old")
    write_whole(path, "é")
    assert path.read_bytes() == "é".encode()
    fail_in_the_middle(monkeypatch, lambda draft: KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert path.read_bytes() == "é".encode() and [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_full_disk_names_the_file_and_leaves_no_draft(tmp_path, monkeypatch):
    fail_in_the_middle(monkeypatch, lambda draft: OSError(errno.ENOSPC, "No space left on device", str(draft)))
    with pytest.raises(OSError, match="left") as error:
        write_whole(tmp_path / "results.json", b"new")
    assert error.value.filename == str(tmp_path / "results.json") and not list(tmp_path.iterdir())


def test_file_and_folder_reach_the_disk_before_the_name_changes_and_after(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda file: (synced.append(str(Path(f"/proc/self/fd/{file}").readlink())), fsync(file))
    )
    write_whole(tmp_path / "a.txt", "a")
    assert synced == [str(tmp_path / ".a.txt.draft"), str(tmp_path)]


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_sync_is_written_to_all_the_same(tmp_path, monkeypatch, code):
    def refuse(file):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    write_whole(tmp_path / "a.txt", "a")
    assert (tmp_path / "a.txt").read_text() == "a"


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_said_and_no_reason_to_stop(tmp_path, monkeypatch, caplog, code):
    def refuse(file, operation):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (tmp_path / ".lock").open("w") as file, caplog.at_level(logging.WARNING):
        take_lock(file)
    assert f"the disk of '{tmp_path}' has no locks ({os.strerror(code)})" in caplog.text


def test_a_lock_that_is_taken_is_not_taken_twice(tmp_path):
    with (tmp_path / ".lock").open("w") as one, (tmp_path / ".lock").open("w") as other:
        take_lock(one)
        with pytest.raises(BlockingIOError):
            take_lock(other)


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_keeps_no_room_is_said_and_no_reason_to_stop(tmp_path, monkeypatch, caplog, code):
    def refuse(file, start, size):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with (tmp_path / "a.npy").open("wb") as file:
        reserve_room(file, 1000)
    assert (tmp_path / "a.npy").stat().st_size == 1000
    assert f"the disk of '{tmp_path}/a.npy' keeps no room free ({os.strerror(code)})" in caplog.text


def test_where_there_is_no_room_the_file_is_named(tmp_path, monkeypatch):
    def refuse(file, start, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with (tmp_path / "a.npy").open("wb") as file, pytest.raises(OSError, match="left") as error:
        reserve_room(file, 1000)
    assert error.value.filename == str(tmp_path / "a.npy")
