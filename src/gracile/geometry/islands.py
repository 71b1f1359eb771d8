"""Where a probability map says that a point lies: its largest island, the island's center, and how wide it is."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Island:
    """Connected voxels (26 neighbors) whose probability reaches a threshold.

    Args:
        center: ``(3,)`` voxels, the center of mass of the island's probability.
        spread_mm: Root mean square distance in mm of the island's probability from the center.
        probability: The largest of the island.
        voxels: How many there are.
        share: The island's part of the probability of all islands.
    """

    center: np.ndarray
    spread_mm: float
    probability: float
    voxels: int
    share: float


def largest_island(probability: np.ndarray, threshold: float, spacing_mm: np.ndarray) -> Island | None:
    """The island of most voxels, of equal ones the most probable; None where nothing reaches the threshold.

    Args:
        probability: ``(x, y, z)`` from 0 to 1.
        threshold: Probability of every voxel of an island.
        spacing_mm: ``(3,)``.
    """
    labels, count = ndimage.label(probability >= threshold, structure=np.ones((3, 3, 3)))
    if not count:
        return None
    inside = np.flatnonzero(labels)
    names, weights = labels.ravel()[inside], probability.ravel()[inside].astype(np.float64)
    sizes, masses = np.bincount(names), np.bincount(names, weights)
    largest = max(range(1, count + 1), key=lambda name: (sizes[name], masses[name]))
    own = names == largest
    places = np.stack(np.unravel_index(inside[own], probability.shape), axis=1).astype(np.float64)
    weights = weights[own]
    center = np.average(places, axis=0, weights=weights)
    squares = np.square((places - center) * spacing_mm).sum(axis=1)
    return Island(
        center,
        float(np.sqrt(np.average(squares, weights=weights))),
        float(weights.max()),
        int(sizes[largest]),
        float(masses[largest] / masses.sum()),
    )
