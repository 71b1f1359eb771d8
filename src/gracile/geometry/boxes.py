"""The box around what a flat mask shows."""

import numpy as np


def bounding_box(mask: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of the smallest box around all of ``(height, width)`` bool; None where nothing is set."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return None
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
