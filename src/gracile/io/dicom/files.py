"""Which files are DICOM, and their data sets, read so that nothing of a patient shows in a message."""

import logging
import os
import re
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gracile.errors import DataError
from gracile.io.bounded import BoundedFile
from gracile.io.dicom.deflated import require_true_inflation
from gracile.io.voxels import COPY_AGAIN

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
VIEWER = "Open it in a DICOM viewer; if it does not show there either, export it again."

_HEAD = 1024
_PREAMBLE = 128
_FIRST_GROUPS = (0x0002, 0x0008)
"""Groups that a data set begins with: of the file's meta information, of identification."""

_VALUE_REPRESENTATION = re.compile(rb"AE|AS|CS|DA|DT|LO|LT|OB|PN|SH|ST|TM|UI|UL|US|UT")


def begins_as_dicom(head: bytes) -> bool:
    """Whether bytes begin as a DICOM file does: with the mark behind the preamble or, without preamble, a data set."""
    if head[_PREAMBLE : _PREAMBLE + 4] == b"DICM":
        return True
    return any(_begins_as_data_set(head, order) for order in "<>")


def _begins_as_data_set(head: bytes, order: str) -> bool:
    if len(head) < 8:
        return False
    group, element = struct.unpack(f"{order}HH", head[:4])
    if group not in _FIRST_GROUPS or element > 0x0100:
        return False
    if _VALUE_REPRESENTATION.match(head[4:6]):
        return True
    (length,) = struct.unpack("<I", head[4:8])  # implicit ones are little endian
    following = head[8 + length : 12 + length]
    if order == ">" or length % 2 or len(following) < 4:
        return False
    next_group, next_element = struct.unpack("<HH", following)
    return bool(next_group == group and next_element > element)


def is_dicom(path: Path) -> bool:
    """Whether a file bears a DICOM suffix or begins as a DICOM file does."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return begins_as_dicom(file.read(_HEAD))
    except OSError:
        return False


def dicom_files(folder: Path, *, nested: bool = False) -> list[Path]:
    """The DICOM files right in a folder, in the order of their names; hidden files and DICOMDIR are left out.

    Args:
        folder: The folder.
        nested: Where it holds none itself, take those of the folders in it (``STUDY/SERIES/IMAGE``).
    """
    if not folder.is_dir():
        return []
    found = sorted(path for path in folder.iterdir() if _counts(path))
    if not found and nested:
        found = sorted(path for path in folder.rglob("*") if _counts(path))
    return found


def _counts(path: Path) -> bool:
    named = not path.name.startswith(".") and path.name.upper() != "DICOMDIR"
    return named and path.is_file() and is_dicom(path)


def read_dataset(path: Path, fields: list[str] | None = None, *, pixels: bool = True) -> Any:
    """A file's data set, by pydicom; its transfer syntax is known, also where the file has no meta information.

    Args:
        path: The file, with or without preamble.
        fields: Keywords of the fields that are parsed; None: all.
        pixels: Whether to read its pixels too.

    Raises:
        DataError: It cannot be opened or is no DICOM file.
    """
    from pydicom import dcmread
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    with private_parsing(path):
        with _Bounded(path) as file:
            head = file.read(_HEAD)
            file.seek(0)
            bare = head[_PREAMBLE : _PREAMBLE + 4] != b"DICM" and begins_as_dicom(head)
            dataset = dcmread(file, specific_tags=fields, stop_before_pixels=not pixels, force=bare)
        if not dataset.file_meta.get("TransferSyntaxUID"):
            implicit, little = dataset.original_encoding
            explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
        return dataset


class _Bounded(BoundedFile):
    """A file that pydicom reads: what it reads to its end is a deflated data set, refused where it is far too large."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            content = super().read()
            require_true_inflation(Path(os.fsdecode(self.name)), content)
            return content
        return super().read(size)


@contextmanager
def private_parsing(path: Path, wrong: str = "cannot be read as DICOM: a field of it is damaged") -> Iterator[None]:
    """Run what parses a file's values so that none of them shows in a warning, a log or an error."""
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings(), _silent_logs():
            warnings.simplefilter("ignore")
            yield
    except (DataError, MemoryError):
        raise
    except InvalidDicomError:
        raise DataError(f"{path} is no DICOM file.", VIEWER) from None
    except Exception as error:  # it may quote a value of the file
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{path} cannot be opened: {error.strerror}.", COPY_AGAIN) from None
        raise DataError(f"{path} {wrong}.", VIEWER) from None


@contextmanager
def _silent_logs() -> Iterator[None]:
    """Keep the libraries' logs still: they quote names that they hold to be invalid."""
    logs = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)
