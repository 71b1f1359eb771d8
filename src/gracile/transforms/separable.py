"""Linear interpolation along the axes of an array, one sparse matrix for each axis."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image
from scipy.sparse import csr_array

FEW = 64
"""Values that lie together below which an axis is brought to the front instead of taken where it is."""

IN_CACHE = 40_000
"""Values that are brought to the front at once, so that they are still in the processor's cache when they come back."""


def resized(array: np.ndarray, shape: tuple[int, int], whole_levels: bool = False) -> np.ndarray:
    """Another size, linearly with half-pixel centers; antialiased along each axis that shrinks.

    Args:
        array: ``(..., height, width)``.
        shape: Wanted (height, width).
        whole_levels: Rounds a picture of uint8 that shrinks to whole gray levels, which takes a fraction of the time.

    Returns:
        ``(..., *shape)`` float32.
    """
    height, width = array.shape[-2:]
    if (height, width) == tuple(shape):
        return array.astype(np.float32)
    shrinks = [shape[0] / height, shape[1] / width]
    if whole_levels and array.ndim == 3 and array.dtype == np.uint8 and min(shrinks) < 1:
        return _in_whole_levels(array, shape)
    result = np.ascontiguousarray(array, dtype=np.float32)
    for axis in sorted((-2, -1), key=lambda axis: shrinks[axis]):  # what shrinks most first: less is left for the other
        if result.shape[axis] != shape[axis]:
            result = along(resizing(result.shape[axis], shape[axis]), result, axis)
    return result


def _in_whole_levels(array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """``(channels, height, width)`` uint8 by Pillow, which reduces with the same triangle; colors at once."""
    parts = [np.moveaxis(array, 0, -1)] if len(array) == 3 else list(array)
    found = [np.asarray(Image.fromarray(np.ascontiguousarray(part)).resize(shape[::-1], Image.Resampling.BILINEAR))
             for part in parts]  # fmt: skip
    levels = np.moveaxis(found[0], -1, 0) if len(array) == 3 else np.stack(found)
    return np.ascontiguousarray(levels, dtype=np.float32)


@lru_cache(maxsize=64)
def resizing(length: int, wanted: int) -> csr_array:
    """``(wanted, length)`` weights that resize an axis: triangles as wide as two of the larger pixels.

    Where the axis grows this is linear interpolation between pixel centers, and the border goes on as it is.
    """
    step = length / wanted
    reach = max(step, 1.0)
    centers = (np.arange(wanted) + 0.5) * step
    first = np.maximum((centers - reach + 0.5).astype(int), 0)
    last = np.minimum((centers + reach + 0.5).astype(int), length)
    places = first[:, None] + np.arange((last - first).max())
    weights = np.maximum(1.0 - np.abs(places + 0.5 - centers[:, None]) / reach, 0.0)
    weights[places >= last[:, None]] = 0.0
    return _sparse(weights / weights.sum(axis=1, keepdims=True), places, length)


def reading(positions: np.ndarray, length: int) -> csr_array:
    """``(n, length)`` weights that read an axis linearly at ``(n,)`` positions; beyond its ends lies 0."""
    low = np.floor(positions)
    far = positions - low
    places = low.astype(int)[:, None] + np.arange(2)
    weights = np.stack([1.0 - far, far], axis=1)
    weights[(places < 0) | (places >= length)] = 0.0
    return _sparse(weights, places, length)


def _sparse(weights: np.ndarray, places: np.ndarray, length: int) -> csr_array:
    """Weights ``(rows, n)`` of places ``(rows, n)`` as a matrix; those of places that do not exist are 0."""
    rows, each = weights.shape
    places = np.clip(places, 0, length - 1)
    matrix = csr_array(
        (weights.astype(np.float32).ravel(), places.ravel(), np.arange(0, rows * each + 1, each)), shape=(rows, length)
    )
    matrix.eliminate_zeros()
    return matrix


def along(matrix: csr_array, array: np.ndarray, axis: int) -> np.ndarray:
    """Weigh an axis of an array by a matrix ``(wanted, length)``; float32, lying together."""
    axis %= array.ndim
    before, after = array.shape[:axis], array.shape[axis + 1 :]
    count, length, wanted = int(np.prod(after)), array.shape[axis], matrix.shape[0]
    flat = array.reshape(-1 if array.size else 0, length, count)
    result = np.empty((len(flat), wanted, count), dtype=np.float32)
    if count >= FEW:
        for number, part in enumerate(flat):
            result[number] = matrix @ part
    else:
        rows = max(1, IN_CACHE // max(1, count * max(length, wanted)))
        for start in range(0, len(flat), rows):
            some = flat[start : start + rows]
            front = np.ascontiguousarray(some.transpose(1, 0, 2)).reshape(length, -1)
            result[start : start + rows] = (matrix @ front).reshape(wanted, len(some), count).transpose(1, 0, 2)
    return result.reshape(*before, wanted, *after)


def on_grid(values: np.ndarray, axes: Sequence[np.ndarray]) -> np.ndarray:
    """All combinations of positions along the axes of a volume, linearly; 0 where there is none.

    Args:
        values: ``(channels, x, y, z)`` float32.
        axes: Positions along each axis in voxels, rising.

    Returns:
        ``(channels, *lengths of the axes)`` float32.
    """
    result = np.zeros((len(values), *(len(axis) for axis in axes)), dtype=np.float32)
    first = [int(np.clip(np.floor(axis[0]), 0, n - 1)) for axis, n in zip(axes, values.shape[1:], strict=True)]
    last = [int(np.clip(np.floor(axis[-1]) + 2, a + 1, n))
            for axis, a, n in zip(axes, first, values.shape[1:], strict=True)]  # fmt: skip
    x, y, z = (slice(a, b) for a, b in zip(first, last, strict=True))
    matrices = [reading(axis - a, b - a) for axis, a, b in zip(axes, first, last, strict=True)]
    order = sorted(range(3), key=lambda axis: matrices[axis].shape[0] / matrices[axis].shape[1])
    for channel, volume in enumerate(values):
        part = np.ascontiguousarray(volume[x, y, z], dtype=np.float32)
        for axis in order:
            part = along(matrices[axis], part, axis)
        result[channel] = part
    return result
