"""The box around what a mask shows."""

import numpy as np
from scipy import ndimage

SPECK = 0.1
"""Share of the largest island below which an island does not make a box larger."""


def bounding_box(mask: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of the smallest box around all of ``(height, width)`` bool; None where nothing is set."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def box_of_islands(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    """The box around the islands of ``(x, y, z)`` bool that are no specks; None where nothing is set."""
    labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    if not count:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    boxes = [box for box, size in zip(ndimage.find_objects(labels), sizes, strict=True) if size >= SPECK * sizes.max()]
    x, y, z = (
        slice(min(side.start for side in sides), max(side.stop for side in sides)) for sides in zip(*boxes, strict=True)
    )
    return x, y, z


def widened(box: tuple[slice, slice, slice], margin: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    """A box with ``(3,)`` samples more at both ends of each axis, as far as there are any."""
    x, y, z = (
        slice(max(0, int(np.floor(side.start - more))), min(n, int(np.ceil(side.stop + more))))
        for side, more, n in zip(box, margin, shape, strict=True)
    )
    return x, y, z
