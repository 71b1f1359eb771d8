"""Tables of points: CSV whose header names the coordinate system."""

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gracile.errors import DataError
from gracile.geometry import PointList
from gracile.io.atomic import write_text
from gracile.io.coordinate_systems import System, exchanged

_CASES = ("case", "volume", "image", "subject")
_LABELS = ("label", "landmark", "name", "point")
_NAMED = re.compile(r"(?:(ras|lps)[ _]([xyz])|([xyz])[ _(]*(ras|lps)\)?)(?:[ _(]*(\w+)\)?)?")
_LETTERS: dict[System, str] = {"RAS": "ras", "LPS": "lps"}
_REMEDY = (
    "Name the columns ras_x_mm, ras_y_mm, ras_z_mm (or lps_x_mm and so on; r, a, s or l, p, s as 3D Slicer does), "
    "so that the coordinate system is said."
)


def read_point_table(path: Path | str, system: System | None = None) -> dict[str, PointList]:
    """Read a table of points in RAS+ mm, separated by commas, semicolons or tabs.

    The coordinate system is read from the header: ``ras_x_mm`` or ``x_ras``, or ``r, a, s`` and ``l, p, s`` as in
    Slicer's tables. Names are in a column ``label``, ``landmark``, ``name`` or ``point``; a column ``case``,
    ``volume``, ``image`` or ``subject`` parts the points of several cases. A row with three empty cells, or with 0
    in a column ``defined``, is a point without a place. Other columns are passed over.

    Args:
        path: The table.
        system: The system of columns ``x, y, z`` or ``x_mm, y_mm, z_mm`` whose header does not say it.

    Returns:
        The points by case; the case is empty where there is no such column.

    Raises:
        DataError: No such file, no system, no points, or places that are none.
    """
    path = Path(path)
    header, rows = _table(path)
    system, places = _places(path, header, system)
    case = next((header.index(name) for name in _CASES if name in header), None)
    label = next((header.index(name) for name in _LABELS if name in header), None)
    defined = header.index("defined") if "defined" in header else None
    found: dict[str, list[tuple[str, list[float]]]] = {}
    for line, row in rows:
        if len(row) != len(header):
            raise DataError(f"{path}: line {line} has {len(row)} cells, the header {len(header)}.", "Correct the line.")
        hidden = defined is not None and row[defined].strip() in {"0", "false", "False"}
        place = [float("nan")] * 3 if hidden else _place(path, line, [row[index] for index in places])
        key = "" if case is None else row[case].strip()
        found.setdefault(key, []).append(("" if label is None else row[label], place))
    return {
        key: PointList(exchanged(np.array([place for _, place in some]), system), [name for name, _ in some])
        for key, some in found.items()
    }


def write_point_table(path: Path | str, points: Mapping[str, PointList]) -> None:
    """Write points of cases as CSV in RAS+ mm, whole or not at all; a single case named "" has no case column."""
    cased = set(points) != {""}
    sure = any(some.probabilities is not None for some in points.values())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    coordinates = ["ras_x_mm", "ras_y_mm", "ras_z_mm"]
    writer.writerow([*(["case"] if cased else []), "label", *coordinates, *(["probability"] if sure else [])])
    for case, some in points.items():
        for index, (label, place) in enumerate(zip(some.labels, some.points_mm, strict=True)):
            cells = [float(value) for value in place] if some.defined[index] else ["", "", ""]
            likely = [] if not sure else ["" if some.probabilities is None else float(some.probabilities[index])]
            writer.writerow([*([case] if cased else []), label, *cells, *likely])
    write_text(path, text.getvalue())


def _table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header in lower case, and the rows with their line numbers."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "Check the name and rights.") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is no text.", "Save it as CSV in UTF-8.") from None
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: {error}.", "Save it as CSV in UTF-8.") from None
    if len(rows) < 2:
        raise DataError(f"{path} holds no points.", "It needs a header and a line for each point.")
    return [cell.strip().lower() for cell in rows[0][1]], rows[1:]


def _places(path: Path, header: list[str], system: System | None) -> tuple[System, list[int]]:
    """The coordinate system and the indices of its three columns."""
    named: dict[tuple[str, str], int] = {}
    for index, cell in enumerate(header):
        said = _NAMED.fullmatch(cell)
        if said and said[5] not in (None, "mm"):
            raise DataError(f"{path} counts in {said[5]!r}.", "Give the places in millimeters.")
        if said:
            named[(said[1] or said[4]).upper(), said[2] or said[3]] = index
        elif cell.removesuffix("_mm") in ("x", "y", "z"):
            named["", cell[0]] = index
    for known, letters in _LETTERS.items():
        if all((known, axis) in named for axis in "xyz"):
            return known, [named[known, axis] for axis in "xyz"]
        plain = [letter if letter in header else f"{letter}_mm" for letter in letters]
        if all(name in header for name in plain):
            return known, [header.index(name) for name in plain]
    if system is not None and all(("", axis) in named for axis in "xyz"):
        return system, [named["", axis] for axis in "xyz"]
    raise DataError(f"The header of {path} does not say in which coordinate system its points are.", _REMEDY)


def _place(path: Path, line: int, cells: list[str]) -> list[float]:
    if not any(cell.strip() for cell in cells):
        return [float("nan")] * 3
    try:
        place = [float(cell) for cell in cells]
    except ValueError:
        place = [float("nan")] * 3
    if not np.isfinite(place).all():
        raise DataError(
            f"{path}: the place in line {line} is not three numbers.", "Correct the line, or leave it empty."
        )
    return place
