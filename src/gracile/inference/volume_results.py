"""The files of a volume's result: where they lie, and writing them."""

import glob
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gracile.geometry import PointList
from gracile.io import (
    write_centerline,
    write_map,
    write_mask,
    write_points,
    write_probabilities,
    write_table,
    writing,
)
from gracile.io.naming import file_names
from gracile.io.nnlandmark import write_nnlandmark_prediction
from gracile.result import Result

_LINES = {"centerline": ".csv", "centerline_curve": ".mrk.json", "centerline_voxels": ".nii.gz"}
_TABLES = ("cord", "cord_levels")
_POINTS = {
    "mrk.json": ("landmarks", "{}.mrk.json"),
    "fcsv": ("landmarks_fcsv", "{}.fcsv"),
    "csv": ("landmarks_table", "{}_landmarks.csv"),
    "nnlandmark": ("landmarks_nnlandmark", "nnlandmark/{}.json"),
}
"""Kind and file of each format of points; a case's name goes into the file's."""

POINT_FORMATS = tuple(_POINTS)
USUAL_POINTS = POINT_FORMATS[:3]


def write_volume_results(result: Result, out: Path, points: Sequence[str] = USUAL_POINTS) -> dict[str, str]:
    """Write what was found in a volume, in the patient's own place.

    ``NAME.nii.gz`` is the mask on the input's grid, ``probabilities/NAME.nii.gz`` the probability maps where they were
    kept, a volume for each class. Further maps lie in folders of their own: as NIfTI where they are on the input's
    grid, else as ``.npz``. A centerline is written to ``centerline/`` as a table, as a curve for 3D Slicer and as
    voxels; tables of the measurements, such as a cord's sections, as ``NAME_cord.csv``.

    Landmarks are ``NAME.mrk.json`` and ``NAME.fcsv`` for 3D Slicer, ``NAME_landmarks.csv``, and
    ``nnlandmark/NAME.json`` as nnLandmark predicts them; those that were not found are without a place (an ``.fcsv``
    leaves them out). Their maps, where kept, are ``probabilities/LANDMARK/NAME.nii.gz`` in the folders of
    `file_names`.

    Args:
        result: The result; its ``case_id`` names the files.
        out: Folder to write to.
        points: Formats of the landmarks, of `POINT_FORMATS`.

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
    if result.landmarks:
        files |= _write_landmarks(result, out, points)
    return files


def _write_landmarks(result: Result, out: Path, formats: Sequence[str]) -> dict[str, str]:
    places = [np.full(3, np.nan) if part.point_mm is None else part.point_mm for part in result.landmarks]
    likely = np.array([part.probability for part in result.landmarks])
    labels = [part.name for part in result.landmarks]
    points = PointList(np.stack(places), labels, name=result.case_id, probabilities=likely)
    kept = PointList(
        points.points_mm[points.defined], [part.name for part in result.landmarks if part.point_mm is not None]
    )
    files: dict[str, str] = {}
    for form, (kind, pattern) in _POINTS.items():
        file = pattern.format(result.case_id)
        if form not in formats or (form == "fcsv" and not len(kept)):
            continue
        files[kind] = file
        if form == "nnlandmark":
            assert result.grid.affine is not None
            write_nnlandmark_prediction(out / file, points, result.grid.affine)
        else:
            write_points(out / file, kept if form == "fcsv" else points)
    folders = file_names(labels)
    for name in result.landmark_maps:  # each is made by looking it up, and gone before the next one
        kind = f"probability of {name}"
        files[kind] = f"probabilities/{folders[name]}/{result.case_id}.nii.gz"
        write_map(out / files[kind], result.landmark_maps[name], result.grid)
    return files


def volume_result_files(name: str, out: Path) -> list[str]:
    """What `write_volume_results` may have written for an input, relative to the folder of the run."""
    maps = [f"{name}.nii.gz", f"probabilities/{name}.nii.gz", f"network_size/{name}.npz"]
    lines = [f"centerline/{name}{suffix}" for suffix in _LINES.values()]
    points = [pattern.format(name) for _, pattern in _POINTS.values()]
    maps += [str(path.relative_to(out)) for path in (out / "probabilities").glob(f"*/{glob.escape(name)}.nii.gz")]
    return [*maps, *lines, *points, *(f"{name}_{table}.csv" for table in _TABLES)]
