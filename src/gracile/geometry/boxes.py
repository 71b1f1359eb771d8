"""The box around what a mask shows."""

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

Box3d = tuple[slice, slice, slice]

SPECK = 0.1
"""Share of the largest island below which an island does not make a box larger."""


def bounding_box(mask: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of the smallest box around all of ``(height, width)`` bool; None where nothing is set."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def box_of_islands(masks: Iterable[np.ndarray]) -> Box3d | None:
    """The box around the islands of ``(x, y, z)`` bool masks that are no specks among their own; None without any."""
    boxes: list[Box3d] = []
    for mask in masks:
        labels, count = ndimage.label(mask, structure=np.ones((3, 3, 3)))
        if count:
            sizes = np.bincount(labels.ravel())[1:]
            found = zip(ndimage.find_objects(labels), sizes, strict=True)
            boxes += [box for box, size in found if size >= SPECK * sizes.max()]
    if not boxes:
        return None
    x, y, z = (slice(min(s.start for s in sides), max(s.stop for s in sides)) for sides in zip(*boxes, strict=True))
    return x, y, z


def widened(box: Box3d, margin: np.ndarray, shape: tuple[int, ...]) -> Box3d:
    """A box with ``(3,)`` samples more at both ends of each axis, as far as there are any."""
    x, y, z = (
        slice(max(0, int(np.floor(side.start - more))), min(n, int(np.ceil(side.stop + more))))
        for side, more, n in zip(box, margin, shape, strict=True)
    )
    return x, y, z
