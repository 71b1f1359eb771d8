"""Which pages of a TIFF are its picture, and how one is turned upright."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    struct.error,
    zlib.error,
    tifffile.TiffFileError,
)
"""What libraries raise over damaged pictures."""


@dataclass(frozen=True)
class Pages:
    """Which of a file's pages is its picture.

    Args:
        first: Index of the first page that is no smaller copy.
        count: How many pages are none.
        smaller: Whether there are smaller copies.
        whole: Indices of those that are none.
    """

    first: int = 0
    count: int = 1
    smaller: bool = False
    whole: tuple[int, ...] = (0,)


def tiff_pages(path: Path) -> Pages:
    """The pages of a TIFF of about the size of the largest; those of less than half of it are thumbnails and the like.

    Masks of transparency and damaged pages do not count. Source: TIFF 6.0, NewSubfileType (254).
    """
    with tifffile.TiffFile(path) as file:
        file.pages.useframes = False
        sizes = {}
        for index in range(len(file.pages)):
            try:
                page = file.pages[index]
            except UNREADABLE:
                if not index:
                    raise
                continue
            if isinstance(page, tifffile.TiffPage) and not page.is_mask:
                sizes[index] = page.imagewidth * page.imagelength
    largest = max(sizes.values(), default=0)
    full = [index for index, size in sizes.items() if 2 * size >= largest]
    return Pages(full[0], len(full), len(full) < len(sizes), tuple(full)) if full else Pages()


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Undo an orientation from 2 to 8 (TIFF 6.0, tag 274: which sides row 0 and column 0 are)."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(values[::rows, ::columns])
