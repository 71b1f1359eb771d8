"""Write files whole or not at all, so that an interrupted run never leaves half a file under a good name."""

import errno
import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gracile.errors import DataError, WriteError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_NAME = (errno.EINVAL, errno.EILSEQ)
_PART = ".part-"

_OLD_SECONDS = 24 * 3600.0
"""Age from which a part is taken for a leftover where the system has no locks to tell it by."""


@contextmanager
def writing(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside the target, and put it in the target's place when the block succeeds.

    The temporary file is hidden and keeps the target's suffixes, so that writers that go by them work. It is on the
    disk before it takes the target's place. When the block fails it is removed and the old target stays as it was;
    what a killed process leaves, `remove_leftovers` takes away.

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
    if "\0" in str(path):
        raise DataError(f"{str(path)!r} is no name that a file can have.", "Give the input another name.")
    part = path.with_name(f"{_PART}{uuid.uuid4().hex[:12]}{''.join(path.suffixes[-2:])[-20:]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _held(part):
            yield part
            with part.open("rb+") as file:  # Windows syncs only what may be written
                os.fsync(file.fileno())
            part.replace(path)
    except OSError as error:
        raise _explained(error, path, part) or error from error
    finally:
        with suppress(OSError):
            part.unlink()


@contextmanager
def _held(part: Path) -> Iterator[None]:
    """Make a part and hold its lock as long as it is written: the system lets go of it when the process is killed."""
    if fcntl is None:  # Windows, which would not move a file that is held
        part.touch()
        yield
        return
    while True:
        descriptor = os.open(part, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            with suppress(OSError):  # some network disks know no locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Between these lines another run may have taken the file for one that is left over.
            if os.fstat(descriptor).st_nlink:
                yield
                return
        finally:
            os.close(descriptor)


def remove_leftovers(folder: Path, depth: int = 0) -> None:
    """Remove what killed processes left half written in a folder, and in those within it to some depth.

    What a process that goes on is writing stays, on this machine or on another that shares the disk. Where the system
    has no locks, on Windows, what is less than a day old stays.
    """
    for level in range(depth + 1):
        for part in folder.glob("*/" * level + f"{_PART}*"):
            with suppress(OSError):
                if fcntl is None:
                    if time.time() - part.stat().st_mtime > _OLD_SECONDS:
                        part.unlink()
                    continue
                descriptor = os.open(part, os.O_RDWR)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    part.unlink()
                finally:
                    os.close(descriptor)


def require_writable(folder: Path | str, *names: str, depth: int = 0) -> None:
    """Make sure that a folder can be written to before anything long begins, and clear it of what killed runs left.

    Args:
        folder: It need not be there yet, and is not made.
        names: What will be written in it; those that end with ``/`` are folders.
        depth: Of the folders within it that `remove_leftovers` looks into.

    Raises:
        WriteError: It cannot be written to, the disk is full, or a folder lies where a file is to be or the reverse.
    """
    folder = Path(folder)
    for name in names:
        if (folder / name).exists() and (folder / name).is_dir() != name.endswith("/"):
            raise WriteError(
                f"{folder / name} cannot be written: it is {'a file' if name.endswith('/') else 'a folder'}.",
                "Move it away, or choose another folder.",
            )
    remove_leftovers(folder, depth)
    place = folder
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    part = place / f"{_PART}{uuid.uuid4().hex[:12]}"
    try:
        with _held(part), part.open("wb") as file:
            file.write(bytes(16384))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _explained(error, folder, part) or unwritable(folder, error) from error
    finally:
        with suppress(OSError):
            part.unlink()


def require_writable_file(path: Path | str) -> None:
    """Make sure that a file can be written, before anything long begins. Raises WriteError."""
    require_writable(Path(path).parent, Path(path).name)


def unwritable(path: Path, error: OSError) -> WriteError:
    """Why a path cannot be written, in the user's words, where nothing more is known."""
    if _tells_of_a_full_disk(error):
        return WriteError(
            f"The disk is full: {path} was not written.",
            "Free some space, or choose another folder, and run it again; what was written before is kept.",
        )
    if isinstance(error, NotADirectoryError | FileExistsError):
        return WriteError(f"{path} cannot be written: part of its path is a file.", "Choose another folder.")
    return WriteError(
        f"{path} cannot be written: {error.strerror}.",
        "Free some space, or choose a folder that you may write to, and run it again.",
    )


def _tells_of_a_full_disk(error: OSError) -> bool:
    """Whether a disk is full; numpy tells it without the system's number, by what it could not write."""
    return error.errno in _FULL or (error.errno is None and "requested and" in str(error))


def _explained(error: OSError, path: Path, part: Path) -> DataError | None:
    """The error in the user's words, or None when it is not about writing this file."""
    if _tells_of_a_full_disk(error):
        return unwritable(path, error)
    if error.errno == errno.ENAMETOOLONG:
        return DataError(f"{path} cannot be written: the name is too long.", "Give the input a shorter name.")
    own = {str(part), str(path), *(str(parent) for parent in path.parents)}
    if error.errno in _REFUSED and str(error.filename) in own:
        return WriteError(f"{path} cannot be written: {error.strerror}.", "Choose a folder that you may write to.")
    if isinstance(error, NotADirectoryError | FileExistsError) and str(error.filename) in own:
        return WriteError(f"{path} cannot be written: part of its path is a file.", "Choose another folder.")
    if isinstance(error, IsADirectoryError) and str(error.filename) in own:
        return WriteError(f"{path} cannot be written: it is a folder.", "Move it away, or choose another --out.")
    if error.errno in _NO_NAME and str(error.filename) in own:
        return DataError(f"{path} cannot be written: the disk does not take such a name.", "Give it another name.")
    return unwritable(path, error) if str(error.filename) in own else None


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
