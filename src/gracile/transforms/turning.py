"""Volumes turned about their third axis."""

from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array


def turned(volume: np.ndarray, degrees: float) -> np.ndarray:
    """A volume turned about the middle of its slices across the third axis, linearly; borders go on as they are.

    Args:
        volume: ``(channels, x, y, z)``.
        degrees: Angle, in voxels: what lies along the first axis comes to lie along the second after 90.

    Returns:
        The same shape, float32.
    """
    channels, x, y, z = volume.shape
    matrix = turn_matrix(x, y, degrees)
    slices = np.ascontiguousarray(volume, dtype=np.float32).reshape(channels, x * y, z)
    return np.stack([matrix @ part for part in slices]).reshape(volume.shape)


@lru_cache(maxsize=16)
def turn_matrix(x: int, y: int, degrees: float) -> csr_array:
    """``(x * y, x * y)`` weights of the pixels of a slice, four for each."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rows, columns = np.meshgrid(np.arange(x) - (x - 1) / 2, np.arange(y) - (y - 1) / 2, indexing="ij")
    places = sine * columns + cosine * rows, cosine * columns - sine * rows
    low, far = [], []
    for place, length in zip(places, (x, y), strict=True):
        place = np.clip(place.ravel() + (length - 1) / 2, 0, length - 1)
        low.append(np.minimum(np.floor(place).astype(int), max(0, length - 2)))
        far.append(place - low[-1])
    weights, pixels = [], []
    for right in (0, 1):
        for down in (0, 1):
            share = (far[0] if right else 1.0 - far[0]) * (far[1] if down else 1.0 - far[1])
            pixels.append(np.minimum(low[0] + right, x - 1) * y + np.minimum(low[1] + down, y - 1))
            weights.append(share)
    ends = np.arange(0, 4 * x * y + 1, 4)
    matrix = csr_array(
        (np.stack(weights, axis=1).astype(np.float32).ravel(), np.stack(pixels, axis=1).ravel(), ends),
        shape=(x * y, x * y),
    )
    matrix.sum_duplicates()
    return matrix
