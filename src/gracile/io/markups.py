"""Points on disk: landmarks and curves in the formats that people have them in.

Inside Gracile points are in RAS+ mm; each file says which system it counts in, and one that does not is refused.
"""

from pathlib import Path

from gracile.errors import DataError
from gracile.geometry import PointList
from gracile.io.fcsv import read_fcsv, write_fcsv
from gracile.io.point_tables import read_point_table, write_point_table
from gracile.io.slicer_markups import read_slicer_markups, write_slicer_markups

POINT_SUFFIXES = (".mrk.json", ".fcsv", ".csv", ".tsv")


def read_points(path: Path | str) -> PointList:
    """Read one list of points in RAS+ mm from ``.mrk.json``, ``.fcsv``, ``.csv`` or ``.tsv``.

    Raises:
        DataError: Another kind of file, several lists or cases in one, or see the readers of each format.
    """
    path = Path(path)
    name = path.name.lower()
    if name.endswith(".fcsv"):
        return read_fcsv(path)
    if name.endswith((".csv", ".tsv")):
        lists = list(read_point_table(path).values())
    elif name.endswith(".json"):
        lists = read_slicer_markups(path)
    else:
        raise DataError(f"{path} is no file of points.", f"These are taken: {', '.join(POINT_SUFFIXES)}.")
    if len(lists) != 1:
        raise DataError(f"{path} holds {len(lists)} lists of points.", "Save each in a file of its own.")
    return lists[0]


def write_points(path: Path | str, points: PointList) -> None:
    """Write points: ``.mrk.json`` and ``.fcsv`` in LPS as Slicer does, ``.csv`` in RAS; each file says so.

    Raises:
        DataError: Another suffix, or it cannot be written.
    """
    name = Path(path).name.lower()
    if name.endswith(".mrk.json"):
        write_slicer_markups(path, points)
    elif name.endswith(".fcsv"):
        write_fcsv(path, points)
    elif name.endswith(".csv"):
        write_point_table(path, {"": points})
    else:
        raise DataError(f"Points cannot be written to {path}.", "Choose .mrk.json, .fcsv or .csv.")
