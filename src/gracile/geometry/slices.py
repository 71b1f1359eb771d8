"""A volume seen slice by slice, from below to above, whatever the order of its axes in the file."""

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from gracile.errors import GeometryError


@dataclass(frozen=True)
class Slices:
    """How the axial slices of a volume lie in the patient.

    Args:
        volume: ``(slices, rows, columns)``, a view: slices from inferior to superior, rows from anterior to
            posterior, columns from the patient's right to left, which is how a radiologist looks at a slice.
        affine: ``(4, 4)`` from (slice, row, column) to RAS+ mm.
        file_axis: Axis of the file that the slices follow each other along.
        falling: Whether the file counts the slices from superior to inferior.
    """

    volume: np.ndarray
    affine: np.ndarray
    file_axis: int = 0
    falling: bool = False

    def in_file(self, index: int) -> int:
        """The file's own number of a slice, from 0 as viewers show it."""
        return len(self.volume) - 1 - index if self.falling else index

    @property
    def normal(self) -> np.ndarray:
        """``(3,)`` unit vector at a right angle to the slices, pointing up."""
        across = np.cross(self.affine[:3, 1], self.affine[:3, 2])
        across /= np.linalg.norm(across)
        return across if across @ self.affine[:3, 0] > 0 else -across

    @property
    def distance_mm(self) -> float:
        """Distance between the planes of neighboring slices."""
        return float(self.normal @ self.affine[:3, 0])

    @property
    def pixel_mm2(self) -> float:
        """Area of a pixel of a slice."""
        return float(np.linalg.norm(np.cross(self.affine[:3, 1], self.affine[:3, 2])))

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between samples along (slice, row, column)."""
        along = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(along[0]), float(along[1]), float(along[2])

    def to_mm(self, places: np.ndarray) -> np.ndarray:
        """``(n, 3)`` RAS+ mm of places (slice, row, column)."""
        return places @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_places(self, points_mm: np.ndarray) -> np.ndarray:
        """``(n, 3)`` places (slice, row, column) of points in RAS+ mm."""
        inverse = np.linalg.inv(self.affine)
        return points_mm @ inverse[:3, :3].T + inverse[:3, 3]


def axial_slices(volume: np.ndarray, affine: np.ndarray) -> Slices:
    """See a volume slice by slice; no value is copied or interpolated.

    Each axis of the file goes to the anatomical axis that it runs along most; for oblique volumes the slices stay those
    of the file.

    Args:
        volume: ``(I, J, K)`` in the order of the file.
        affine: ``(4, 4)`` from voxel indices to RAS+ mm.

    Returns:
        The slices.

    Raises:
        GeometryError: Not a volume, or an affine that flattens it.
    """
    if volume.ndim != 3:
        raise GeometryError(f"Slices are cut from a volume (I, J, K), not from an array of shape {volume.shape}.")
    affine = np.asarray(affine, dtype=np.float64)
    if affine.shape != (4, 4) or not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise GeometryError("The affine does not span a volume.", "Check the header's spacing and orientation.")
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    left, back, up = max(
        permutations(range(3)), key=lambda axes: sum(abs(directions[w, a]) for w, a in enumerate(axes))
    )
    order = (up, back, left)
    wanted = (1, -1, -1)  # superior, posterior, left, in RAS+
    turned = affine[:, [*order, 3]].copy()
    view = volume.transpose(order)
    falling = turned[2, 0] < 0
    for axis, (world, sign) in enumerate(zip((2, 1, 0), wanted, strict=True)):
        if turned[world, axis] * sign < 0:
            view = np.flip(view, axis)
            turned[:, 3] += turned[:, axis] * (view.shape[axis] - 1)
            turned[:, axis] *= -1
    return Slices(view, turned, up, bool(falling))
