"""The grid that an image lies on."""

from dataclasses import dataclass

import numpy as np

from gracile.errors import GeometryError


@dataclass(frozen=True)
class NiftiForms:
    """The two ways in which a NIfTI header says where its voxels lie, as its file has them.

    Kept beside the affine so that a mask is written with the very header that its image came with.

    Args:
        sform: The three rows of the sform, twelve numbers.
        sform_code: What the sform leads to: 0 nothing, 1 scanner, 2 aligned, 3 Talairach, 4 MNI.
        quaternion: b, c and d of the qform's rotation.
        offset: Where the qform puts the first voxel.
        pixdim: The qform's handedness (1 or -1) and the voxel sizes.
        qform_code: What the qform leads to, as for the sform.
        unit: Unit of lengths: 1 meter, 2 mm, 3 micrometer.
    """

    sform: tuple[float, ...]
    sform_code: int
    quaternion: tuple[float, ...]
    offset: tuple[float, ...]
    pixdim: tuple[float, ...]
    qform_code: int
    unit: int = 2


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the samples of an image or volume lie. Grids are equal when all of it is.

    Args:
        shape: Number of samples along each spatial axis, in the order of the file
            (images: height, width).
        affine: (4, 4) matrix from voxel indices to RAS+ millimeters; None for a picture
            whose place in the patient is unknown.
        spacing_mm: Distance between samples along each axis in mm; None when unknown. For a
            grid with an affine it is derived from it.
        nifti: How the NIfTI file that it came from says the same, for what is written back; else None.
    """

    shape: tuple[int, ...]
    affine: np.ndarray | None = None
    spacing_mm: tuple[float, ...] | None = None
    nifti: NiftiForms | None = None

    def __post_init__(self) -> None:
        if self.affine is not None:
            if self.affine.shape != (4, 4):
                raise GeometryError(f"An affine has shape (4, 4), not {self.affine.shape}.")
            spacing = tuple(float(s) for s in np.linalg.norm(self.affine[:3, : len(self.shape)], axis=0))
            object.__setattr__(self, "spacing_mm", spacing)
        if self.spacing_mm is not None and len(self.spacing_mm) != len(self.shape):
            raise GeometryError(f"A grid of {len(self.shape)} axes cannot have {len(self.spacing_mm)} spacings.")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grid) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[object, ...]:
        affine = None if self.affine is None else tuple(self.affine.ravel().tolist())
        return self.shape, affine, self.spacing_mm, self.nifti
