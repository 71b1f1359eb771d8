"""Takes the files of one case out of an uploaded archive, under names of our own and within a size."""

import errno
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gracile.errors import DataError
from gracile.io.dicom import begins_as_dicom
from gracile.io.kinds import kind_of

MAX_FILES = 20_000

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError)
_HEAD = 1024
_NUMBER = re.compile(r"(?:^|[_/])(\d{4})(?:\.[^/]*)?$")
_HIDDEN = re.compile(r"(?:^|/)(?:\.|__MACOSX/)")


def unpack_series(archive: Path, folder: Path, max_bytes: int) -> int:
    """Write an archive's DICOM files, told by their content, into a new folder; returns their number.

    Names in the archive, which may be patients', are never used; what is no DICOM file stays where it is.

    Raises:
        DataError: It is damaged or encrypted, claims more than is taken, or holds no DICOM file.
    """
    count = 0
    with _members(archive, folder, max_bytes) as (content, members):
        for member in members:
            count += _unpack(content, member, folder / f"{count + 1:05d}.dcm")
    if not count:
        raise DataError("The archive holds no DICOM files.", "Pack the files of one series.")
    return count


def unpack_channels(archive: Path, folder: Path, max_bytes: int) -> dict[int, Path]:
    """Write the channels of one case into a new folder; returns them by their number, as ``1`` of ``CASE_0001.png``.

    Of a name in the archive nothing is used but this number; what has none stays where it is.

    Raises:
        DataError: It is damaged or encrypted, claims more than is taken, holds one channel twice, or a file of a kind
            that is not taken.
    """
    found: dict[int, Path] = {}
    with _members(archive, folder, max_bytes) as (content, members):
        for member in members:
            number = _NUMBER.search(member.filename)
            if number is None or _HIDDEN.search(member.filename):
                continue
            index = int(number[1])
            if index in found:
                raise DataError(f"The archive holds channel {index + 1} twice.", "Pack the files of one case.")
            part = folder / f"{index:04d}"
            with content.open(member) as stream, part.open("wb") as file:
                shutil.copyfileobj(stream, file)
            found[index] = part.rename(folder / f"case_{index:04d}{kind_of(part).suffix}")
    return dict(sorted(found.items()))


@contextmanager
def _members(archive: Path, folder: Path, max_bytes: int) -> Iterator[tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]]:
    """An archive and its files, once it is known that there is room for them; makes the folder. Raises DataError."""
    try:
        with zipfile.ZipFile(archive) as content:
            members = [member for member in content.infolist() if not member.is_dir()]
            _require_bounded(members, max_bytes)
            _require_room(folder.parent, members)
            folder.mkdir()
            yield content, members
    except OSError as error:  # a place before the file's begin, which a damaged directory may name
        if error.errno != errno.EINVAL:
            raise
        raise DataError("The archive is damaged.", "Pack it again.") from None
    except _DAMAGED:
        raise DataError("The archive is damaged, or packed in a way that is not known.", "Pack it again.") from None


def _require_bounded(members: list[zipfile.ZipInfo], max_bytes: int) -> None:
    claimed = sum(member.file_size for member in members)
    if claimed > max_bytes or len(members) > MAX_FILES:
        raise DataError(
            f"The archive claims {len(members)} files of {claimed / 2**20:.0f} MB; {MAX_FILES} files of "
            f"{max_bytes // 2**20} MB in all are taken.",
            "Pack one series alone.",
        )
    if any(member.flag_bits & 1 for member in members):
        raise DataError("The archive is encrypted.", "Pack it without a password.")


def _require_room(place: Path, members: list[zipfile.ZipInfo]) -> None:
    if shutil.disk_usage(place).free < 3 * sum(member.file_size for member in members):
        raise DataError("There is too little room on the server's disk.", "Try again later.")


def _unpack(content: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> bool:
    """Write a member where it is a DICOM file; zipfile reads no more of it than it claims to be."""
    with content.open(member) as stream:
        head = stream.read(_HEAD)
        if not begins_as_dicom(head):
            return False
        with target.open("wb") as file:
            file.write(head)
            shutil.copyfileobj(stream, file)
    return True
