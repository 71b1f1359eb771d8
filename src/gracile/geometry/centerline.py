"""The line along a slender structure in a volume."""

from dataclasses import dataclass

import numpy as np

from gracile.errors import GeometryError


@dataclass(frozen=True)
class Centerline:
    """Where the middle of a slender structure runs.

    Args:
        points_mm: ``(n, 3)`` RAS+ millimeters, in order from one end to the other (a cord's from below to above).
        probabilities: ``(n,)`` how sure each point is, 0 to 1; None for a line that was computed from a mask.
    """

    points_mm: np.ndarray
    probabilities: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.points_mm.ndim != 2 or self.points_mm.shape[1] != 3 or not len(self.points_mm):
            raise GeometryError(f"A centerline has points of shape (n, 3), not {self.points_mm.shape}.")
        if self.probabilities is not None and len(self.probabilities) != len(self.points_mm):
            raise GeometryError(f"{len(self.points_mm)} points cannot have {len(self.probabilities)} probabilities.")

    def in_voxels(self, affine: np.ndarray) -> np.ndarray:
        """``(n, 3)`` voxel indices on the grid of an affine (voxels to RAS+ mm)."""
        inverse = np.linalg.inv(affine)
        return self.points_mm @ inverse[:3, :3].T + inverse[:3, 3]
