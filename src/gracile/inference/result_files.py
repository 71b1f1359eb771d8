"""The files of a result: where they lie, what is written first, and what of an earlier answer is taken away."""

import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gracile.geometry import PointList
from gracile.inference.inputs import Input
from gracile.io import (
    write_centerline,
    write_labels,
    write_map,
    write_mask,
    write_points,
    write_probabilities,
    write_table,
    writing,
)
from gracile.io.dicom.segmentations import SUFFIX
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


@dataclass(frozen=True)
class FurtherFile:
    """A file of a result besides its mask and its points.

    Args:
        kind: What a record names it by.
        file: Where it lies, relative to the folder of the run.
        write: Writes it to a path.
    """

    kind: str
    file: str
    write: Callable[[Path], None]


def write_result(result: Result, out: Path, points: Sequence[str] = USUAL_POINTS) -> dict[str, str]:
    """Write all that a result holds: see `write_found` and `further_files`.

    Args:
        result: The result; its ``case_id`` names the files.
        out: Folder to write to.
        points: Formats of the landmarks, of `POINT_FORMATS`.

    Returns:
        The files by kind, relative to ``out``.

    Raises:
        DataError: A file cannot be written.
    """
    files = write_found(result, out, points)
    for further in further_files(result):
        further.write(out / further.file)
        files[further.kind] = further.file
    return files


def write_found(result: Result, out: Path, points: Sequence[str] = USUAL_POINTS) -> dict[str, str]:
    """Write the mask and the landmarks of a result, which come before all that is computed from them.

    The mask is ``NAME.png`` or, of a volume, ``NAME.nii.gz`` on the input's grid. Landmarks are ``NAME.mrk.json`` and
    ``NAME.fcsv`` for 3D Slicer, ``NAME_landmarks.csv``, and ``nnlandmark/NAME.json`` as nnLandmark predicts them; those
    that were not found are without a place (an ``.fcsv`` leaves them out).
    """
    files: dict[str, str] = {}
    if result.mask is not None and _is_volume(result):
        files["mask"] = f"{result.case_id}.nii.gz"
        write_mask(out / files["mask"], result.mask, result.grid)
    elif result.mask is not None:
        files["mask"] = f"{result.case_id}.png"
        write_labels(out / files["mask"], result.mask)
    return files | _write_landmarks(result, out, points) if result.landmarks else files


def further_files(result: Result) -> Iterator[FurtherFile]:
    """What a result holds besides mask and points: kept maps, a line and tables.

    Maps are ``probabilities/NAME.npz``; those on a volume's own grid ``probabilities/NAME.nii.gz``, a volume for each
    class. A centerline is a table, a curve for 3D Slicer and voxels in ``centerline/``; tables, such as a cord's
    sections, are ``NAME_cord.csv``. Maps of landmarks are ``probabilities/LANDMARK/NAME.nii.gz`` in the folders of
    `file_names`.
    """
    name, grid = result.case_id, result.grid
    kept = {} if result.probabilities is None else {"probabilities": result.probabilities}
    for kind, maps in {**result.extras, **kept}.items():
        if _is_volume(result) and maps.shape[1:] == grid.shape:
            write = partial(write_probabilities, probabilities=maps, grid=grid)
            yield FurtherFile(kind, f"{kind}/{name}.nii.gz", write)
        else:
            regions = kind == "probabilities" and result.maps != result.classes  # else the maps are the classes
            names = result.maps if regions else []
            yield FurtherFile(kind, f"{kind}/{name}.npz", partial(_write_arrays, probabilities=maps, names=names))
    if result.centerline is not None:
        for kind, suffix in _LINES.items():
            write = partial(write_centerline, line=result.centerline, grid=grid)
            yield FurtherFile(kind, f"centerline/{name}{suffix}", write)
    for kind, rows in result.tables.items():
        yield FurtherFile(kind, f"{name}_{kind}.csv", partial(write_table, rows=rows))
    folders = file_names([part.name for part in result.landmarks])
    for landmark in result.landmark_maps:
        file = f"probabilities/{folders[landmark]}/{name}.nii.gz"
        yield FurtherFile(f"probability of {landmark}", file, partial(_write_landmark_map, result, landmark))


def remove_earlier_files(entry: Input, out: Path, kept: set[str]) -> None:
    """Take away what only an earlier run wrote for an input, so that no old file passes for a part of its answer."""
    files = [f"{entry.name}.png", *(f"{kind}/{entry.name}.npz" for kind in ("probabilities", "network_size"))]
    files.append(f"{entry.name}{SUFFIX}")
    if entry.kind == "volume":
        files = volume_result_files(entry.name, out)
    elif entry.kind != "picture":
        files = [f"{entry.name}{suffix}" for suffix in (".mp4", ".avi", ".csv")]
    for file in set(files) - kept:
        (out / file).unlink(missing_ok=True)


def volume_result_files(name: str, out: Path) -> list[str]:
    """What may have been written for a volume, relative to the folder of the run."""
    maps = [f"{name}.nii.gz", f"probabilities/{name}.nii.gz", f"network_size/{name}.npz", f"{name}{SUFFIX}"]
    lines = [f"centerline/{name}{suffix}" for suffix in _LINES.values()]
    points = [pattern.format(name) for _, pattern in _POINTS.values()]
    maps += [path.relative_to(out).as_posix() for path in (out / "probabilities").glob(f"*/{glob.escape(name)}.nii.gz")]
    return [*maps, *lines, *points, *(f"{name}_{table}.csv" for table in _TABLES)]


def _is_volume(result: Result) -> bool:
    return len(result.grid.shape) == 3


def _write_arrays(path: Path, probabilities: np.ndarray, names: Sequence[str] = ()) -> None:
    """Maps and, where they are not those of the classes, their names as ``maps``."""
    arrays = {"probabilities": probabilities.astype(np.float16)} | ({"maps": np.array(names)} if names else {})
    with writing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def _write_landmark_map(result: Result, landmark: str, path: Path) -> None:
    """Write one map, which is made by looking it up and gone before the next one."""
    write_map(path, result.landmark_maps[landmark], result.grid)


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
    return files
