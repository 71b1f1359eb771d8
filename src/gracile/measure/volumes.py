"""Volume, islands, place, extent and brightness of each structure: what suits any of them in a volume."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field
from scipy import ndimage

from gracile.case import Case
from gracile.errors import GeometryError
from gracile.geometry import Grid
from gracile.measure.base import Measure, mask_of
from gracile.recipe import Recipe
from gracile.result import Measurement, Result

Connectivity = Literal[6, 18, 26]

_AXES = ("r", "a", "s")


class Volumes(Measure):
    """Volume, islands, centroid, extent and mean intensity of each structure."""

    connectivity: Connectivity = Field(26, description="neighbors of a voxel that count to its island")

    def add(self, case: Case, result: Result, recipe: Recipe) -> None:
        result.measurements += volume_measurements(
            mask_of(result), result.grid, recipe.structures, case.image, self.connectivity, case.channel_names
        )


def volume_measurements(
    mask: np.ndarray,
    grid: Grid,
    structures: Mapping[str, tuple[int, ...]],
    image: np.ndarray,
    connectivity: Connectivity = 26,
    channel_names: Sequence[str] = (),
) -> list[Measurement]:
    """Measure each structure of a volume, whichever way its axes run.

    Args:
        mask: ``(I, J, K)`` class indices.
        grid: Of the mask; its affine takes voxels to RAS+ mm and may be oblique.
        structures: Class indices of each structure; a class may belong to several.
        image: ``(channels, I, J, K)`` as it came in.
        connectivity: Neighbors of a voxel that count to its island: by faces (6), edges too (18), corners too (26).
        channel_names: Names of the image's channels; empty counts them from 1.

    Returns:
        Per structure ``volume`` (ml); ``islands``; ``centroid_r``, ``centroid_a``, ``centroid_s`` (mm to the right,
        front and top, RAS+); ``extent_r``, ``extent_a``, ``extent_s`` (mm from end to end along these directions, the
        voxels as a whole); ``intensity_mean`` in the input's own values, of several channels one each. Of a structure
        that is absent all but the first two have no value.

    Raises:
        GeometryError: The place of the volume in the patient is not known, or sizes differ.
    """
    if grid.affine is None or len(grid.shape) != 3:
        raise GeometryError("Volumes are measured where their place in the patient is known.")
    if mask.shape != grid.shape or image.shape[1:] != grid.shape:
        raise GeometryError("Mask and image have the size of their grid.")
    measurements = []
    for name, members in structures.items():
        member = np.isin(mask, members)
        measurements += [
            Measurement(quantity, value, unit, name, note)
            for quantity, value, unit, note in _of_one(member, grid.affine, image, connectivity, channel_names)
        ]
    return measurements


def _of_one(
    member: np.ndarray,
    affine: np.ndarray,
    image: np.ndarray,
    connectivity: Connectivity,
    channel_names: Sequence[str],
) -> list[tuple[str, float | None, str, str]]:
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000.0
    neighbors = f"{connectivity} neighbors"
    names = channel_names or [str(number) for number in range(1, len(image) + 1)]
    channels = [""] if len(image) == 1 else [f"_{name}" for name in names]
    if not member.any():
        places: list[tuple[str, float | None, str, str]] = [
            (f"{quantity}_{axis}", None, "mm", "") for quantity in ("centroid", "extent") for axis in _AXES
        ]
        means = [(f"intensity_mean{channel}", None, "1", "") for channel in channels]
        return [("volume", 0.0, "ml", ""), ("islands", 0.0, "1", neighbors), *places, *means]
    (box,) = ndimage.find_objects(member.astype(np.uint8))
    part = member[box]
    first = np.array([side.start for side in box])
    shape = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    center = affine[:3, :3] @ (np.array(ndimage.center_of_mass(part)) + first) + affine[:3, 3]
    extent = _extent_mm(part, affine)
    return [
        ("volume", int(part.sum()) * voxel_ml, "ml", ""),
        ("islands", float(ndimage.label(part, shape)[1]), "1", neighbors),
        *((f"centroid_{axis}", float(value), "mm", "RAS+") for axis, value in zip(_AXES, center, strict=True)),
        *((f"extent_{axis}", float(value), "mm", "") for axis, value in zip(_AXES, extent, strict=True)),
        *(
            (f"intensity_mean{channel}", float(values[box][part].mean(dtype=np.float64)), "1", "in the input's values")
            for channel, values in zip(channels, image, strict=True)
        ),
    ]


def _extent_mm(part: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """``(3,)`` mm from end to end along R, A and S, by the ends of the rows along the last axis."""
    i, j = np.nonzero(part.any(axis=2))
    low = part.argmax(axis=2)[i, j]
    high = part.shape[2] - 1 - part[:, :, ::-1].argmax(axis=2)[i, j]
    ends = np.concatenate([np.stack([i, j, k], axis=1) for k in (low, high)]) @ affine[:3, :3].T
    extent: np.ndarray = np.ptp(ends, axis=0) + np.abs(affine[:3, :3]).sum(axis=1)
    return extent
