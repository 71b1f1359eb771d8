"""The lines that one run writes while it goes on, so that what it has done outlives it."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock, Timeout
from typing_extensions import TypedDict

from gracile.errors import DataError
from gracile.io.atomic import unwritable
from gracile.io.predictions_file import Record, RecordShape, SettingsShape, completed
from gracile.plain_data import FileName, Text, parse_json

_PATIENCE = 0.3
"""Seconds that the lock of a run is tried for: others hold it only to try it themselves."""


@dataclass
class Journaled:
    """What a journal tells.

    Args:
        path: The journal.
        live: Whether the run that writes it still goes on.
        key: Digest of its settings.
        settings: Its settings.
        part: Label of its part of the inputs, such as ``2of8``; empty for a run over all.
        overwrites: Whether it was to do everything anew.
        names: The name of each input that it was asked for, by the input's key.
        records: In the order in which they were made.
    """

    path: Path
    live: bool
    key: str
    settings: dict[str, Any]
    part: str
    overwrites: bool
    names: dict[str, str]
    records: list[Record] = field(default_factory=list)


class HeadShape(TypedDict):
    """The first line of a journal."""

    key: Text
    settings: SettingsShape
    part: Text
    overwrites: bool
    names: dict[FileName, FileName]


class Journal:
    """A file of one line of JSON per finished input, which one run alone writes.

    A lock beside it is held as long as the run goes on; the system lets go of it when the run is killed.

    Args:
        folder: Folder of all journals of a run folder.
        head: What `Journaled` tells besides the records.
    """

    def __init__(self, folder: Path, head: Mapping[str, Any]) -> None:
        self.path = folder / f"{uuid4().hex}.jsonl"
        self.written = False
        self._head = dict(head)
        self._lock = FileLock(_lock_path(self.path))

    def open(self) -> None:
        """Begin it. Raises WriteError."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=_PATIENCE)
        except OSError as error:
            raise unwritable(self.path.parent, error) from error
        self._append(self._head)

    def add(self, record: Record) -> None:
        """Keep a record; it is on disk when this returns. Raises WriteError."""
        self._append(record)
        self.written = True

    def close(self) -> None:
        """End it. Its records stay for the run that finishes next; without any it goes."""
        if self.written:
            self._lock.release()
            _lock_path(self.path).unlink(missing_ok=True)
        else:
            self.remove()

    def remove(self) -> None:
        """End it, as its records stand elsewhere now."""
        remove_journal(self.path)
        self._lock.release()

    def _append(self, content: Mapping[str, Any]) -> None:
        try:
            with self.path.open("a", encoding="utf-8") as file:
                # The line before may have been cut off, so that each begins with a new one.
                file.write("\n" + json.dumps(content, allow_nan=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(self.path, error) from error


def read_journals(folder: Path, own: Path | None = None) -> list[Journaled]:
    """All journals of a run folder, those of killed runs among them; a line that was cut off is left out.

    Args:
        folder: Folder of the journals.
        own: The one that this run writes.
    """
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        live = path == own or _is_live(path)  # asked first: what a run writes later is read, or is known to come
        lines = _lines(path)
        if lines:
            found.append(
                Journaled(
                    path,
                    live,
                    **{name: lines[0][name] for name in HeadShape.__annotations__},
                    records=[completed(r) for r in lines[1:]],
                )
            )
    return found


def remove_journal(path: Path) -> None:
    """Remove a journal with its lock."""
    path.unlink(missing_ok=True)
    _lock_path(path).unlink(missing_ok=True)


def _lock_path(journal: Path) -> Path:
    return journal.with_suffix(".lock")


def _is_live(path: Path) -> bool:
    lock = FileLock(_lock_path(path))
    try:
        lock.acquire(timeout=_PATIENCE)
    except Timeout:
        return True
    except OSError:  # a folder that may only be read
        return False
    if not path.exists():
        _lock_path(path).unlink(missing_ok=True)
    lock.release()
    return False


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:  # another run has just taken it up
        return []
    whole: list[dict[str, Any]] = []
    for line in filter(None, lines):
        with suppress(DataError):  # a line that was cut off
            whole.append(parse_json(line, "", "", shape=RecordShape if whole else HeadShape))
    return whole
