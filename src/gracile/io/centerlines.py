"""Centerlines on disk: a table in mm, a curve for 3D Slicer, or the voxels on the line."""

import csv
import io
from pathlib import Path

import numpy as np

from gracile.errors import DataError
from gracile.geometry import Centerline, Grid, PointList, voxels_on_line
from gracile.io.atomic import write_text
from gracile.io.markups import read_points
from gracile.io.nifti_writing import write_mask
from gracile.io.slicer_markups import write_slicer_markups

_COLUMNS = ("ras_x_mm", "ras_y_mm", "ras_z_mm", "arc_mm", "probability")


def write_centerline(path: Path | str, line: Centerline, *, name: str = "centerline", grid: Grid | None = None) -> None:
    """Write a line, whole or not at all.

    ``.csv`` holds its points in RAS+ mm with arc length and probability, ``.mrk.json`` a curve in LPS mm for 3D Slicer,
    ``.nii.gz`` the voxels that it runs through, one on each axial slice.

    Args:
        path: The file.
        line: The line.
        name: Name of the curve in Slicer.
        grid: Of the volume; needed for ``.nii.gz``.

    Raises:
        DataError: Another suffix, no grid for a volume, or it cannot be written.
        GeometryError: The line does not run through the grid.
    """
    suffix = Path(path).name.lower()
    if suffix.endswith(".nii.gz") and grid is not None:
        write_mask(path, voxels_on_line(line, grid), grid)
        return
    if suffix.endswith(".mrk.json"):
        labels = [f"{name}-{index + 1}" for index in range(len(line.points_mm))]
        points = PointList(line.points_mm, labels, "curve", name, probabilities=line.probabilities)
        write_slicer_markups(path, points)
        return
    if not suffix.endswith(".csv"):
        raise DataError(f"A line cannot be written to {path}.", "Choose .csv, .mrk.json, or .nii.gz with a grid.")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    sure = [""] * len(line.points_mm) if line.probabilities is None else [f"{p:.4f}" for p in line.probabilities]
    for place, arc, probability in zip(line.points_mm, line.arc_mm, sure, strict=True):
        writer.writerow([*(f"{value:.4f}" for value in place), f"{arc:.4f}", probability])
    write_text(path, text.getvalue())


def read_centerline(path: Path | str) -> Centerline:
    """Read a line from any file of points that `gracile.io.markups` reads, from below to above.

    Raises:
        DataError: No file of points, or a point without a place.
    """
    points = read_points(path)
    if not points.defined.all():
        raise DataError(f"{path} holds points without a place.", "A line needs a place for each of its points.")
    places = points.points_mm
    return Centerline(np.ascontiguousarray(places if places[0, 2] <= places[-1, 2] else places[::-1]))
