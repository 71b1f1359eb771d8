"""Write files whole or not at all, so that an interrupted run never leaves half a file under a good name."""

import errno
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gracile.errors import DataError, WriteError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def writing(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside the target, and put it in the target's place when the block succeeds.

    The temporary file is hidden and keeps the target's suffixes, so that writers that go by them work. It is on the
    disk before it takes the target's place. When the block fails it is removed and the old target stays as it was.

    Args:
        path: The target; its folder is made where needed.

    Yields:
        Path to write to.

    Raises:
        WriteError: The disk is full, or the folder cannot be written to.
        DataError: The name is too long for the disk.

    Example:
        >>> with writing("mask.png") as part:  # doctest: +SKIP
        ...     image.save(part)
    """
    path = Path(path)
    part = path.with_name(f".part-{uuid.uuid4().hex[:12]}{''.join(path.suffixes[-2:])[-20:]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise _explained(error, path, part) or error from error
    finally:
        with suppress(OSError):
            part.unlink()


def _explained(error: OSError, path: Path, part: Path) -> DataError | None:
    """The error in the user's words, or None when it is not about writing this file."""
    if error.errno in _FULL:
        return WriteError(
            f"The disk is full: {path} was not written.",
            "Free some space, or choose another folder, and run it again; what was written before is kept.",
        )
    if error.errno == errno.ENAMETOOLONG:
        return DataError(f"{path} cannot be written: the name is too long.", "Give the input a shorter name.")
    own = {str(part), str(path), *(str(parent) for parent in path.parents)}
    if error.errno in _REFUSED and str(error.filename) in own:
        return WriteError(f"{path} cannot be written: {error.strerror}.", "Choose a folder that you may write to.")
    if isinstance(error, NotADirectoryError | FileExistsError) and str(error.filename) in own:
        return WriteError(f"{path} cannot be written: part of its path is a file.", "Choose another folder.")
    return None


def write_bytes(path: Path | str, content: bytes) -> None:
    """Write bytes whole or not at all; raises `DataError` when the disk is full."""
    with writing(path) as part, part.open("wb") as file:
        file.write(content)


def write_text(path: Path | str, content: str) -> None:
    """Write UTF-8 text whole or not at all; raises `DataError` when the disk is full.

    What is no Unicode, as in file names of old disks, is written as an escape such as ``\\udcff``.
    """
    write_bytes(path, content.encode("utf-8", "backslashreplace"))


def write_json(path: Path | str, content: Any) -> None:
    """Write JSON, two spaces deep, whole or not at all; refuses values that JSON does not know, such as NaN."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
