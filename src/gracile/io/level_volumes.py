"""Label volumes of vertebral levels: values that name places, not classes of a recipe."""

from pathlib import Path

import numpy as np

from gracile.errors import DataError, GeometryError
from gracile.geometry import Grid, change_between
from gracile.io.naming import VOLUME_SUFFIXES, image_files, stem
from gracile.io.volumes import read_voxels


def read_levels(source: Path | str, grid: Grid, case: str) -> np.ndarray | None:
    """Read the levels of a case, turned to the axes of its image.

    Args:
        source: A label volume, or a folder of them, in which that of a case is named ``CASE`` or ``CASE_...``.
        grid: The image's grid.
        case: Name of the case.

    Returns:
        ``(I, J, K)`` with 0 where there is no level; None where the folder holds none of this case.

    Raises:
        DataError: The file cannot be read or lies on another grid, or several belong to the case.
    """
    path = levels_file(source, case)
    if path is None:
        return None
    voxels = read_voxels(path)
    values = voxels.values
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    try:
        change = change_between(Grid(values.shape, voxels.affine), grid)
    except GeometryError as error:
        raise DataError(
            f"{path} does not lie on its image's grid: {error.message}.", "Resample it to the image, as labels."
        ) from None
    return change.apply(values)


def levels_file(source: Path | str, case: str) -> Path | None:
    """The file of a case's levels, see `read_levels`; None where a folder holds none. Raises DataError."""
    source = Path(source)
    if not source.is_dir():
        return source
    files = image_files(source, VOLUME_SUFFIXES)
    exact = [file for file in files if stem(file) == case]
    found = exact or [file for file in files if stem(file).startswith(f"{case}_")]
    if len(found) > 1:
        raise DataError(
            f"{source} has several files for {case}: {', '.join(file.name for file in found)}.",
            f"Name the right one {case}.nii.gz.",
        )
    return found[0] if found else None
