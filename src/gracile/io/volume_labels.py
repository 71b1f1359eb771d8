"""Read label volumes, turned to the axes of the image that they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gracile.errors import DataError, GeometryError
from gracile.geometry import Grid, axis_codes, change_between
from gracile.io.class_indices import WHOLE, class_indices
from gracile.io.unknown_labels import LabelClass
from gracile.io.volumes import read_voxels


@dataclass
class VolumeLabels:
    """The labels of a volume.

    Args:
        values: ``(I, J, K)`` uint8 class indices.
        grid: Where they lie.
        notes: What the reader must know.
    """

    values: np.ndarray
    grid: Grid
    notes: list[str] = field(default_factory=list)


def read_volume_labels(
    path: Path | str,
    classes: Sequence[LabelClass],
    grid: Grid | None = None,
    *,
    recoded: bool = True,
    owner: str = "image",
    ignored: bool = False,
) -> VolumeLabels:
    """Read a label volume of any format.

    Its values are class indices, or those that the classes declare as ``values``; of two classes also 0 and 255, or
    shares from 0 to 1, of which half and more is the structure. Labels are never interpolated.

    Args:
        path: The file.
        classes: The classes by index, the background first.
        grid: The image's grid. Labels on it with axes in another order or running the other way are turned to it,
            those on a cropped or padded part of it are put in their place, with the background around them.
        recoded: False for a mask that a program wrote by these classes: its values are the indices themselves.
        owner: Whose grid it is, for the message.
        ignored: Whether what the background's ``ignored`` names is told, as 255; else it is background.

    Raises:
        DataError: The file is unreadable, holds values that no class has, or lies on another grid.
    """
    path = Path(path)
    values, own, notes = _on_grid(path, grid, "label", owner)
    whole = _whole_numbers(path, values, len(classes), notes)
    indices = class_indices(path, whole, classes, recoded=recoded, samples="voxels", notes=notes, ignored=ignored)
    return VolumeLabels(np.ascontiguousarray(indices), grid or own, notes)


def read_volume_region(path: Path | str, grid: Grid) -> np.ndarray:
    """The part of a volume that counts, ``(I, J, K)`` bool: where its file is above zero.

    Raises:
        DataError: The file is unreadable or lies on another grid.
    """
    values, _, _ = _on_grid(Path(path), grid, "region")
    return np.ascontiguousarray(values > 0)


def _on_grid(path: Path, grid: Grid | None, role: str, owner: str = "image") -> tuple[np.ndarray, Grid, list[str]]:
    """A file's values turned to a grid, its own grid, and what was done."""
    voxels = read_voxels(path)
    values, notes = voxels.values, [*voxels.flags, *voxels.notes]
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise DataError(f"{path} holds {values.shape[-1]} volumes; a {role} is one.", "Join them to one of indices.")
    own = Grid(values.shape, voxels.affine, nifti=voxels.nifti)
    if grid is None:
        return values, own, notes
    try:
        change = change_between(own, grid)
    except GeometryError as error:
        raise DataError(
            f"{path} does not lie on the grid of its {owner}: {error.message}.",
            f"Resample it to the {owner}, or, where only its header is wrong, copy that of the {owner}.",
        ) from None
    if change.shape is not None:
        notes.append(f"the {role} is on a part of the lattice of the {owner}: it was put in its place")
    if change.is_turn:
        notes.append(f"the axes of the {role} were turned from {axis_codes(voxels.affine)} to those of the {owner}")
    return change.apply(values), own, notes


def _whole_numbers(path: Path, values: np.ndarray, classes: int, notes: list[str]) -> np.ndarray:
    """Labels as integers; shares of a structure are cut at a half."""
    if values.dtype.kind in "ui":
        return values
    if not np.isfinite(values).all():
        raise DataError(f"{path} holds values that are no numbers; a label holds class indices.", "Save it again.")
    nearest = np.rint(values)
    if np.abs(values - nearest).max(initial=0) <= WHOLE:
        return nearest.astype(np.int64)
    if classes == 2 and values.min() >= 0 and values.max() <= 1 + WHOLE:
        notes.append("the label is a soft one: half and more counts as the structure")
        return (values >= 0.5).astype(np.uint8)
    raise DataError(
        f"{path} holds fractional values from {values.min():g} to {values.max():g}; a label holds class indices.",
        "Save it as integers.",
    )
