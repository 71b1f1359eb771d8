"""Point lists of older 3D Slicer: ``.fcsv``.

Format: Slicer's developer guide, "Markups fiducial point list file format"; the columns are taken from the file, for
Slicer 3 had others. Their quaternions are left alone: Slicer itself does not turn them with the coordinate system.
"""

import csv
import io
import re
from pathlib import Path

import numpy as np

from gracile.errors import DataError
from gracile.geometry import PointList
from gracile.io.atomic import write_text
from gracile.io.coordinate_systems import System, coordinate_system, exchanged

_COLUMNS = "id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID"
_STATUS = re.compile(r"[0-3],[01]")
"""What Slicer 5 adds to a line without naming it: the status of the place (2 is defined), and who set it."""

_HEADER = re.compile(r"#\s*([^=]+?)\s*=\s*(.*?)\s*")


def read_fcsv(path: Path | str) -> PointList:
    """Read a ``.fcsv`` file in RAS+ mm; names that come twice, as in curves, are kept.

    A point that Slicer 5 calls other than defined keeps its name and has no place.

    Raises:
        DataError: No such file, no coordinate system (Slicer 3 wrote none) or columns, no points, or a place that is
            none.
    """
    path = Path(path)
    header, lines = _parts(path)
    if "columns" not in header:
        raise DataError(f"{path} does not name its columns.", f"Its header needs the line '# columns = {_COLUMNS}'.")
    system = coordinate_system(header.get("coordinatesystem"), path)
    columns = [name.strip().lower() for name in header["columns"].split(",")]
    missing = [name for name in ("x", "y", "z") if name not in columns]
    if missing or len(set(columns)) != len(columns):
        raise DataError(f"{path} has the columns {header['columns']}.", "It needs x, y and z, each once.")
    try:
        rows = [row for line in lines for row in csv.reader([line])]  # line by line, as a stray quote would take in all
    except csv.Error as error:
        raise DataError(f"{path} cannot be read: {error}.", "Save it again in 3D Slicer.") from None
    if not rows:
        raise DataError(f"{path} holds no points.", "Place the points in Slicer and save it again.")
    places = np.array([_place(path, number, columns, row) for number, row in enumerate(rows, start=1)])
    name = columns.index("label") if "label" in columns else None
    labels = [row[name] if name is not None and name < len(row) else "" for row in rows]
    return PointList(exchanged(places, system), labels)


def write_fcsv(path: Path | str, points: PointList, *, system: System = "LPS") -> None:
    """Write points as a ``.fcsv`` file that Slicer 4.11 and later reads, whole or not at all.

    Raises:
        DataError: A point has no place, which the format cannot say, or the file cannot be written.
    """
    if not points.defined.all():
        raise DataError(f"{path}: a .fcsv file cannot say that a point has no place.", "Write .mrk.json instead.")
    text = io.StringIO()
    text.write(f"# Markups fiducial file version = 4.11\n# CoordinateSystem = {system}\n# columns = {_COLUMNS}\n")
    writer = csv.writer(text, lineterminator="\n")
    for index, (label, place) in enumerate(zip(points.labels, exchanged(points.points_mm, system), strict=True)):
        one_line = " ".join(label.splitlines())
        writer.writerow([index + 1, *(float(value) for value in place), 0, 0, 0, 1, 1, 1, 0, one_line, "", ""])
    write_text(path, text.getvalue())


def _parts(path: Path) -> tuple[dict[str, str], list[str]]:
    """The header's values by lower-case name, and the lines below it."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Check the name and rights.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text.", "Save it again in 3D Slicer.") from None
    header: dict[str, str] = {}
    for line in lines:
        if line.startswith("#") and (said := _HEADER.fullmatch(line.strip())):
            header[said[1].lower()] = said[2]
    return header, [line.rstrip("\r") for line in lines if line.strip() and not line.startswith("#")]


def _place(path: Path, number: int, columns: list[str], row: list[str]) -> list[float]:
    surplus = ",".join(cell.strip() for cell in row[len(columns) :]).strip(",")
    if columns[-1] == "associatednodeid" and _STATUS.fullmatch(surplus):
        if not surplus.startswith("2"):
            return [float("nan")] * 3
        surplus = ""
    try:
        place = [float(row[columns.index(axis)]) for axis in ("x", "y", "z")]
    except (IndexError, ValueError):
        place = []
    if surplus or not place or not np.isfinite(place).all():
        raise DataError(
            f"{path}: point {number} does not fit its columns, or its place is not three numbers.",
            "Correct that line, or save the file again in 3D Slicer.",
        )
    return place
