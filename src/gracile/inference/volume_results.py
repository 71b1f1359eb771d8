"""The files of a volume's result: where they lie, and writing them."""

from pathlib import Path

import numpy as np

from gracile.io import write_centerline, write_mask, write_probabilities, write_table, writing
from gracile.result import Result

_LINES = {"centerline": ".csv", "centerline_curve": ".mrk.json", "centerline_voxels": ".nii.gz"}
_TABLES = ("cord", "cord_levels")


def write_volume_results(result: Result, out: Path) -> dict[str, str]:
    """Write what was found in a volume, in the patient's own place.

    ``NAME.nii.gz`` is the mask on the input's grid, ``probabilities/NAME.nii.gz`` the probability maps where they were
    kept, a volume for each class. Further maps lie in folders of their own: as NIfTI where they are on the input's
    grid, else as ``.npz``. A centerline is written to ``centerline/`` as a table, as a curve for 3D Slicer and as
    voxels; tables of the measurements, such as a cord's sections, as ``NAME_cord.csv``.

    Args:
        result: The result; its ``case_id`` names the files.
        out: Folder to write to.

    Returns:
        The files by kind, relative to ``out``.

    Raises:
        DataError: A file cannot be written.
    """
    files: dict[str, str] = {}
    if result.mask is not None:
        files["mask"] = f"{result.case_id}.nii.gz"
        write_mask(out / files["mask"], result.mask, result.grid)
    maps = {**result.extras}
    if result.probabilities is not None:
        maps["probabilities"] = result.probabilities
    for kind, probabilities in maps.items():
        if probabilities.shape[1:] == result.grid.shape:
            files[kind] = f"{kind}/{result.case_id}.nii.gz"
            write_probabilities(out / files[kind], probabilities, result.grid)
            continue
        files[kind] = f"{kind}/{result.case_id}.npz"
        with writing(out / files[kind]) as path, path.open("wb") as file:
            np.savez_compressed(file, probabilities=probabilities.astype(np.float16))
    if result.centerline is not None:
        for kind, suffix in _LINES.items():
            files[kind] = f"centerline/{result.case_id}{suffix}"
            write_centerline(out / files[kind], result.centerline, grid=result.grid)
    for kind, rows in result.tables.items():
        files[kind] = f"{result.case_id}_{kind}.csv"
        write_table(out / files[kind], rows)
    return files


def volume_result_files(name: str) -> list[str]:
    """What `write_volume_results` may have written for an input, relative to the folder of the run."""
    maps = [f"{name}.nii.gz", f"probabilities/{name}.nii.gz", f"network_size/{name}.npz"]
    lines = [f"centerline/{name}{suffix}" for suffix in _LINES.values()]
    return [*maps, *lines, *(f"{name}_{table}.csv" for table in _TABLES)]
