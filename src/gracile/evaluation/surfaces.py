"""Distances between the surfaces of two masks.

A surface is the set of samples of a mask with a neighbor (by side) outside of it, the border of the array counting as
outside. Every sample of a surface counts alike, as in MONAI; DeepMind's own program weights them by the area they
stand for instead, which differs where voxels are far from cubes.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

Spacing = tuple[float, ...] | None
"""Distance between samples along each axis; 1 when None, so that the answer is in samples."""

_SPARSE = 8
"""Samples of the box for each one of a surface from which on a search among these is faster than a transform."""

_LARGEST = 16_000_000
"""Samples of the largest box that is transformed, which takes 12 bytes for each."""

_ROUNDING = 1e-4
"""Share by which a distance may exceed a tolerance: headers give a spacing of 1 mm as 1.0000002."""


@dataclass(frozen=True)
class SurfaceGaps:
    """How far two surfaces lie apart.

    Args:
        truth: ``(n,)`` distance of each sample of the true surface from the predicted one.
        prediction: ``(m,)`` that of each sample of the predicted surface from the true one.
    """

    truth: np.ndarray
    prediction: np.ndarray

    @property
    def hd95(self) -> float:
        """95th percentile Hausdorff distance: the larger of the two directed 95th percentiles."""
        return max(float(np.percentile(one, 95)) for one in (self.truth, self.prediction))

    @property
    def mean(self) -> float:
        """Average symmetric surface distance (ASSD): the mean over the samples of both surfaces together."""
        return float((self.truth.sum() + self.prediction.sum()) / (self.truth.size + self.prediction.size))

    def within(self, tolerance: float) -> float:
        """Normalized surface distance, also called surface Dice (Nikolov et al., arXiv:1809.04430, 2018).

        The share of the samples of both surfaces that lie no further than a tolerance from the other surface.
        """
        reach = tolerance * (1 + _ROUNDING)
        near = int((self.truth <= reach).sum()) + int((self.prediction <= reach).sum())
        return near / (self.truth.size + self.prediction.size)


def surface_gaps(truth: np.ndarray, prediction: np.ndarray, spacing: Spacing = None) -> SurfaceGaps | None:
    """Distances between the surfaces of two bool arrays of one shape.

    Returns:
        Them, or None when either mask is empty: a missed structure has no distance and is counted elsewhere.
    """
    if not truth.any() or not prediction.any():
        return None
    box = ndimage.find_objects((truth | prediction).view(np.uint8))[0]
    truth, prediction = truth[box], prediction[box]
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (truth, prediction)]
    points = sum(int(surface.sum()) for surface in surfaces)
    between = _by_tree if truth.size > min(_SPARSE * points, _LARGEST) else _by_transform
    return SurfaceGaps(*between(surfaces[0], surfaces[1], spacing))


def surface_distances(truth: np.ndarray, prediction: np.ndarray, spacing: Spacing = None) -> tuple[float, float] | None:
    """95th percentile Hausdorff distance and mean surface distance, see `SurfaceGaps`; None when either is empty."""
    gaps = surface_gaps(truth, prediction, spacing)
    return None if gaps is None else (gaps.hd95, gaps.mean)


def _by_transform(first: np.ndarray, second: np.ndarray, spacing: Spacing) -> tuple[np.ndarray, np.ndarray]:
    """Distances of the first surface's samples to the second, and of the second's to the first."""
    return _to_nearest(first, second, spacing), _to_nearest(second, first, spacing)


def _to_nearest(asking: np.ndarray, asked: np.ndarray, spacing: Spacing) -> np.ndarray:
    nearest = ndimage.distance_transform_edt(~asked, spacing, return_distances=False, return_indices=True)
    places = np.nonzero(asking)
    steps = np.stack([nearest[axis][places] - places[axis] for axis in range(asking.ndim)], axis=1)
    return np.linalg.norm(steps * np.asarray(1.0 if spacing is None else spacing), axis=1)


def _by_tree(first: np.ndarray, second: np.ndarray, spacing: Spacing) -> tuple[np.ndarray, np.ndarray]:
    """The same, at a cost by the samples of the surfaces, not of the box: for slender ones that lie far apart."""
    from scipy.spatial import cKDTree  # slow to import, and only scores need it

    scale = np.asarray(1.0 if spacing is None else spacing)
    both = first & second
    answers = []
    for asking, asked in ((first, second), (second, first)):
        distances = np.zeros(int(asking.sum()))  # what lies on both surfaces need not be searched for
        apart = ~both[asking]
        if apart.any():
            # Median splits are slow among samples of a grid, of which many lie equally far.
            tree = cKDTree(np.argwhere(asked) * scale, balanced_tree=False, compact_nodes=False)
            distances[apart] = tree.query(np.argwhere(asking)[apart] * scale)[0]
        answers.append(distances)
    return answers[0], answers[1]
