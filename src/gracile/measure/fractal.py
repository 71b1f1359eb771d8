"""Fractal dimension of a flat mask by box counting."""

import numpy as np


def box_counts(mask: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """How many boxes of each size are needed to cover a mask.

    The grid of boxes is laid at four offsets and the smallest count taken, for the definition asks for the smallest
    cover.

    Args:
        mask: ``(height, width)`` bool.
        sizes: Sides of the boxes in pixels.

    Returns:
        ``(len(sizes),)`` counts.
    """
    packed = np.packbits(mask, axis=1)
    counts = []
    for size in sizes:
        found = []
        for part in range(4):
            shift = part * size // 4
            rows, columns = ([0, *range(size - shift, side, size)] for side in mask.shape)
            bands = np.unpackbits(np.bitwise_or.reduceat(packed, rows, axis=0), axis=1, count=mask.shape[1])
            found.append(int(np.bitwise_or.reduceat(bands, columns, axis=1).sum()))
        counts.append(min(found))
    return np.array(counts)


def box_sizes(extent: float) -> tuple[int, ...]:
    """Sides of boxes in pixels for a picture of this extent: 1/128 to 1/8 of it, doubling.

    Relative sizes make pictures of one field at different resolutions comparable.
    """
    return tuple(sorted({max(1, round(extent / 2**power)) for power in range(3, 8)}))


def fractal_dimension(mask: np.ndarray, sizes: tuple[int, ...]) -> float | None:
    """Box-counting dimension: minus the slope of log count over log size.

    Args:
        mask: ``(height, width)`` bool.
        sizes: Sides of the boxes in pixels, at least two.

    Returns:
        The dimension, about 1 for a line and 2 for an area; None for an empty mask.

    Source: Liebovitch and Toth, Physics Letters A 141 (1989) 386-390.
    """
    if len(sizes) < 2 or not mask.any():
        return None
    return float(-np.polyfit(np.log(sizes), np.log(box_counts(mask, sizes)), 1)[0])
