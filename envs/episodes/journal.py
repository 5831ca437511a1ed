"""What a collection under way remembers: what it collects, and which episodes are written."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any

from envs.episodes.manifest import DatasetError, Ending
from jepa_mpc.files import take_lock
from jepa_mpc.journal import line, whole_lines

FILE_NAME = "collecting.jsonl"


@dataclass(frozen=True)
class EpisodeRecord:
    """An episode that is written.

    Attributes:
        index: Which one.
        sha256: Of its rows: what lies on the disk is believed only when it has this checksum.
        length: Its steps.
        ending: How it ended.
        measures: What the report needs of it.
    """

    index: int
    sha256: str
    length: int
    ending: Ending
    measures: Mapping[str, float]


_RECORD_KEYS = {field.name for field in fields(EpisodeRecord)}


class Journal:
    """A file of a line for what is collected and a line for each episode, open and locked inside a `with`.

    Args:
        folder: Of the collection; it is made where it is missing.
        request: What is collected, by names that a user knows; plain JSON.

    Raises:
        DatasetError: On entering, the folder belongs to something else.
    """

    def __init__(self, folder: Path, request: Mapping[str, Any]) -> None:
        self._folder = folder
        self._request = request
        self.records: list[EpisodeRecord] = []

    def __enter__(self) -> "Journal":
        path = self._folder / FILE_NAME
        if (self._folder / "actions.npy").exists() and not path.exists():
            raise DatasetError(
                f"{self._folder} holds actions.npy but neither a manifest nor a collection under way: "
                "choose an empty folder"
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b")
        try:
            self._start()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, record: EpisodeRecord) -> None:
        """Notes an episode that is written."""
        self._write(asdict(record))

    @staticmethod
    def remove(folder: Path) -> None:
        """Forgets the collection of a folder."""
        (folder / FILE_NAME).unlink(missing_ok=True)

    def _start(self) -> None:
        try:
            take_lock(self._file)
        except BlockingIOError:
            raise DatasetError(
                f"another collection is writing into {self._folder}: wait for it, or choose another folder"
            ) from None
        self._file.seek(0)
        entries = list(whole_lines(self._file.read()))
        self._file.truncate(entries[-1][1] if entries else 0)
        if not entries:
            self._write(self._request)
            return
        refuse_other_request(self._folder, entries[0][0], self._request)
        self.records = [record for record in (_record(data) for data, _ in entries[1:]) if record is not None]

    def _write(self, data: Mapping[str, Any]) -> None:
        self._file.write(line(data))
        self._file.flush()


def refuse_other_request(folder: Path, present: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Compares what a folder holds with what is wanted.

    Raises:
        DatasetError: They differ; the sentence names the first key in which they do.
    """
    for key in sorted(present.keys() | wanted.keys(), key=[*wanted, *present].index):
        if (there := present.get(key)) != (here := wanted.get(key)):
            raise DatasetError(
                f"{folder} holds a collection with {key}={there}, this one has {key}={here}: "
                "choose another folder, or the same value"
            )


def _record(data: Mapping[str, Any]) -> EpisodeRecord | None:
    return EpisodeRecord(**data) if set(data) == _RECORD_KEYS else None
