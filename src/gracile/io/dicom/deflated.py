"""Deflated data sets unpack to up to a thousand times what their file holds; refused where that is not their image.

Source: DICOM PS3.5, A.5 (a deflated data set is a raw stream, RFC 1951, behind the file's meta information).
"""

import io
import math
import zlib
from collections.abc import Iterator
from pathlib import Path

from gracile.errors import DataError
from gracile.io.voxels import COPY_AGAIN, require_true_size

_HEAD = 1 << 22
"""Bytes in which a data set says how large its image is: all that comes before are texts and numbers."""

_PORTION = 1 << 20
_BESIDE = 1 << 26
"""Bytes that a data set may hold beside its pixels."""

_SIDES = ("Columns", "Rows", "SamplesPerPixel", "NumberOfFrames")
_LAST = 0x0028_0100
"""Bits Allocated, behind all of `_SIDES`."""


def require_true_inflation(path: Path, content: bytes) -> None:
    """Unpack a deflated data set portion by portion, keeping none, and refuse what is far larger than its image.

    Args:
        path: For the message.
        content: The raw stream.

    Raises:
        DataError: It holds far more than its header claims, or the claim cannot be true.
        zlib.error: It is damaged.
    """
    portions = _unpacked(content)
    head = b""
    for portion in portions:
        head += portion
        if len(head) >= _HEAD:
            break
    most = _claimed_bytes(path, head, len(content)) + _BESIDE
    taken = len(head)
    for portion in portions:
        taken += len(portion)
        if taken > most:
            raise DataError(f"{path} unpacks to far more than its header claims.", COPY_AGAIN)


def _unpacked(content: bytes) -> Iterator[bytes]:
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    waiting = content
    while waiting and not decoder.eof:
        yield decoder.decompress(waiting, _PORTION)
        waiting = decoder.unconsumed_tail


def _claimed_bytes(path: Path, head: bytes, stored: int) -> int:
    """Bytes of the pixels that a data set claims; 0 where it claims none."""
    from pydicom.filereader import read_dataset

    try:
        dataset = read_dataset(io.BytesIO(head), False, True, stop_when=lambda tag, vr, length: tag > _LAST)
        sides = [int(dataset.get(name) or 1) for name in _SIDES]
        bits = int(dataset.get("BitsAllocated") or 0)
    except Exception:  # a damaged header claims nothing; what is wrong with it is told by what reads it
        return 0
    if not bits or min(sides) < 1:
        return 0
    if bits == 1:
        sides[0] = math.ceil(sides[0] / 8)
    size = math.ceil(bits / 8)
    require_true_size(path, sides, size, stored, compressed=True)
    return math.prod(sides) * size
