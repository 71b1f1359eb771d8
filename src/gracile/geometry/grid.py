"""The grid that an image lies on."""

from dataclasses import dataclass

import numpy as np

from gracile.errors import GeometryError


@dataclass(frozen=True)
class Grid:
    """Where the samples of an image or volume lie.

    Args:
        shape: Number of samples along each spatial axis, in the order of the file
            (images: height, width).
        affine: (4, 4) matrix from voxel indices to RAS+ millimeters; None for a picture
            whose place in the patient is unknown.
        spacing_mm: Distance between samples along each axis in mm; None when unknown. For a
            grid with an affine it is derived from it.
    """

    shape: tuple[int, ...]
    affine: np.ndarray | None = None
    spacing_mm: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.affine is not None:
            if self.affine.shape != (4, 4):
                raise GeometryError(f"An affine has shape (4, 4), not {self.affine.shape}.")
            spacing = tuple(float(s) for s in np.linalg.norm(self.affine[:3, : len(self.shape)], axis=0))
            object.__setattr__(self, "spacing_mm", spacing)
        if self.spacing_mm is not None and len(self.spacing_mm) != len(self.shape):
            raise GeometryError(f"A grid of {len(self.shape)} axes cannot have {len(self.spacing_mm)} spacings.")
