"""What the readers of volumes share: opening files, sizes that can be true, and reading no more than there is."""

import bz2
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NoReturn, cast

import numpy as np

from gracile.errors import DataError
from gracile.geometry import NiftiForms

MAX_VOXELS = 500_000_000
"""Largest number of voxels, over all of a file's volumes, that is read."""

LARGEST_VOXEL_MM = 20.0
LARGEST_EXTENT_MM = 3000.0
SMALLEST_VOXEL_MM = 0.001
SMALLEST_EXTENT_MM = 0.5
FARTHEST_MM = 100_000.0
"""Sizes and places beyond these are no body's: the longest scans are 2 m, the finest of specimens some micrometers."""

COPY_AGAIN = "Copy or export the file again."

_GZIP_MAGIC = b"\x1f\x8b"
_LARGEST_RATIO = 1032
"""Deflate cannot make anything smaller than this (zlib's technical notes): a claim beyond it is a false one."""

_DAMAGED = (EOFError, OSError, zlib.error)
_PORTION = 1 << 24
_BEHIND = 1 << 26
"""Bytes behind the voxels that are unpacked to come to the checksum."""


@dataclass
class Voxels:
    """A volume as its file has it.

    Args:
        values: ``(I, J, K)`` or, of several volumes in one file, ``(I, J, K, volumes)``; scaled as the file says.
        affine: (4, 4) matrix from voxel indices to RAS+ mm.
        nifti: What a NIfTI header says of its place, else None.
        flags: What was lost or guessed; see `gracile.case.Case`.
        notes: What was converted.
    """

    values: np.ndarray
    affine: np.ndarray
    nifti: NiftiForms | None = None
    flags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@contextmanager
def opened(path: Path) -> Iterator[tuple[BinaryIO, bool]]:
    """Open a file to read its plain bytes; whether it is compressed by gzip is told by its content.

    Yields:
        The stream and whether it is compressed.

    Raises:
        DataError: The file is absent, unreadable or empty, or its compression is damaged.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(2)
            if not magic:
                raise DataError(f"{path} is empty (zero bytes).", COPY_AGAIN)
            file.seek(0)
            if magic != _GZIP_MAGIC:
                yield file, False
                return
            with gzip.GzipFile(fileobj=file) as stream:
                try:
                    yield cast(BinaryIO, stream), True
                except _DAMAGED as error:
                    raise DataError(f"{path} is damaged: its compression is wrong or ends.", COPY_AGAIN) from error
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror or error}.", "Check the name and rights.") from error


def unpacked(file: BinaryIO, encoding: str) -> BinaryIO:
    """The stream behind a compression that begins where a file stands: ``gzip``, ``zlib``, ``bzip2`` or ``raw``."""
    if encoding == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if encoding == "bzip2":
        return cast(BinaryIO, bz2.BZ2File(file))
    if encoding == "zlib":
        return io.BufferedReader(_Inflating(file))
    return file


class _Inflating(io.RawIOBase):
    """The bytes of a zlib stream."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        content = b""
        while not content and not self._decoder.eof:
            chunk = self._decoder.unconsumed_tail or self._file.read(1 << 16)
            if not chunk:
                raise EOFError
            content = self._decoder.decompress(chunk, len(buffer))
        buffer[: len(content)] = content
        return len(content)


def require_true_size(path: Path, shape: Sequence[int], itemsize: int, stored: int, *, compressed: bool) -> None:
    """Refuse a size that is no volume's or that the file cannot hold, before memory is taken for it.

    Args:
        path: For the message.
        shape: Samples along each axis, as claimed.
        itemsize: Bytes of a sample.
        stored: Bytes that the file has for them.
        compressed: Whether these are compressed.

    Raises:
        DataError: The claim cannot be true, or is beyond `MAX_VOXELS`.
    """
    if not shape or min(shape) < 1:
        raise DataError(f"{path} claims the size {times(shape)}, which is none.", COPY_AGAIN)
    voxels = 1
    for length in shape:
        voxels *= int(length)
    most = stored * _LARGEST_RATIO if compressed else stored
    if voxels * itemsize > most:
        raise DataError(
            f"{path} is truncated or its header is wrong: {times(shape)} samples of {itemsize} bytes do not fit "
            f"into its {stored} bytes.",
            COPY_AGAIN,
        )
    if voxels > MAX_VOXELS:
        raise DataError(
            f"{path} claims {times(shape)} voxels, more than the limit of {MAX_VOXELS // 10**6} million.",
            "Crop or downsample it.",
        )


def read_samples(path: Path, stream: BinaryIO, dtype: np.dtype, shape: Sequence[int]) -> np.ndarray:
    """Read an array whose first axis runs fastest, in the machine's byte order.

    Raises:
        DataError: The stream ends before, or its compression or checksum is wrong.
    """
    content = np.empty(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize, np.uint8)
    view, filled = content.data, 0
    try:
        while filled < len(view):
            read = stream.readinto(view[filled : filled + _PORTION])  # type: ignore[attr-defined]
            if not read:
                break
            filled += read
        if not isinstance(getattr(stream, "raw", None), io.FileIO):  # at its end a compressed stream checks its sum
            behind = 0
            while behind < _BEHIND and (rest := len(stream.read(1 << 16))):
                behind += rest
            if behind >= _BEHIND:
                raise DataError(f"{path} holds far more than its header claims.", COPY_AGAIN)
    except EOFError:
        raise DataError(f"{path} is truncated: its compressed voxels break off.", COPY_AGAIN) from None
    except (OSError, zlib.error):
        raise DataError(f"{path} is damaged: its voxels cannot be unpacked.", COPY_AGAIN) from None
    if filled < len(view):
        raise DataError(f"{path} is truncated: {filled} of {len(view)} bytes of its voxels are there.", COPY_AGAIN)
    values = content.view(dtype).reshape(tuple(shape), order="F")
    return values.astype(dtype.newbyteorder("="), copy=False)


def require_affine(path: Path, affine: np.ndarray, remedy: str) -> None:
    """Raise DataError when an affine is no place in space: not finite, or flat."""
    columns = affine[:3, :3]
    if not np.isfinite(affine).all():
        raise DataError(f"{path} lies nowhere: its affine holds values that are not finite.", remedy)
    lengths = np.linalg.norm(columns, axis=0)
    if (lengths <= 0).any() or abs(np.linalg.det(columns / np.where(lengths > 0, lengths, 1))) < 1e-4:
        raise DataError(f"{path} lies nowhere: its affine is singular (axes without length or in one plane).", remedy)


def require_bodily_size(path: Path, shape: Sequence[int], affine: np.ndarray) -> None:
    """Refuse voxels and extents that no body has, before a network's grid is laid over them.

    Args:
        path: For the message.
        shape: Voxels along the three axes.
        affine: (4, 4) matrix from voxel indices to mm.

    Raises:
        DataError: Micrometers or meters are said to be mm, or the volume lies far from everything.
    """
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    extents = sizes * np.array(shape[:3])
    remedy = "Correct the voxel size (and its unit) in its header."
    if sizes.min() > LARGEST_VOXEL_MM or extents.max() > LARGEST_EXTENT_MM:
        named = sizes.min() if sizes.min() > LARGEST_VOXEL_MM else sizes[extents.argmax()]
        raise DataError(
            f"{path} has voxels of {named:g} mm: micrometers? It would be {extents.max() / 1000:g} m long.", remedy
        )
    if sizes.min() < SMALLEST_VOXEL_MM or extents.max() < SMALLEST_EXTENT_MM:
        raise DataError(
            f"{path} has voxels of {sizes.min():g} mm: meters? It would be {extents.max():g} mm long.", remedy
        )
    if np.abs(affine[:3, 3]).max() > FARTHEST_MM:
        raise DataError(f"{path} lies {np.abs(affine[:3, 3]).max():g} mm from the origin.", "Correct its header.")


def refuse_color(path: Path, what: str) -> NoReturn:
    """Raise DataError for a volume with several values in a voxel."""
    raise DataError(f"{path} holds {what}, not one gray value per voxel.", "Convert it to a gray volume.")


def times(shape: Sequence[int]) -> str:
    """A size in words: ``384 x 225 x 52``."""
    return " x ".join(str(int(length)) for length in shape)
