"""Points of cases as evaluation takes them, whoever made them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gracile.errors import DataError
from gracile.geometry import PointList
from gracile.io import POINT_SUFFIXES, read_points, stem
from gracile.io.nnlandmark import is_nnlandmark, nnlandmark_cases, read_nnlandmark
from gracile.io.point_tables import read_point_table
from gracile.io.predictions_file import PREDICTIONS
from gracile.io.run_tables import CASES, MEASUREMENTS

_ENDINGS = (".mrk.json", ".fcsv", "_landmarks.csv", "_landmarks.tsv", ".csv", ".tsv")
"""How a case's file may go on behind its name, the preferred first: an ``.fcsv`` leaves out what was not found."""


@dataclass(frozen=True)
class TruePoints:
    """The truth of one case.

    Args:
        points: ``(3,)`` RAS+ mm by landmark.
        affine: ``(4, 4)`` of its volume, or None: then there are no errors in voxels.
        file: Name of the volume, where that is not the case's; its prediction may be named so.
    """

    points: Mapping[str, np.ndarray]
    affine: np.ndarray | None = None
    file: str = ""


def read_predicted_points(source: Path, truth: Mapping[str, TruePoints]) -> dict[str, dict[str, np.ndarray]]:
    """Predicted points of cases, RAS+ mm by landmark, those that were not found left out.

    Args:
        source: Folder of files named as the cases (``NAME.mrk.json``, ``.fcsv``, ``.csv``, as ``gracile predict``
            writes them, or nnLandmark's ``NAME.json``), one table or one JSON of nnLandmark's with all cases, or the
            file of one case.
        truth: The cases. A file may also be named as a case's volume, where only one is called so; what counts in
            voxels needs the volume's affine.

    Raises:
        DataError: A file cannot be read, counts in voxels of an unknown volume, or names a landmark twice.
    """
    others = [case.file for case in truth.values()]
    called = {name: [name, *([case.file] if case.file and others.count(case.file) == 1 else [])]
              for name, case in truth.items()}  # fmt: skip
    if source.is_file() and is_nnlandmark(source):
        listed = nnlandmark_cases(source)
        own = {name: next(each for each in names if each in listed) for name, names in called.items()
               if set(names) & set(listed)}  # fmt: skip
        return {name: _in_voxels(source, each, truth[name].affine) for name, each in own.items()}
    if source.is_file() and source.name.lower().endswith((".csv", ".tsv")):
        lists = read_point_table(source)
        if set(lists) != {""}:
            return {name: _by_name(source, points) for name, points in lists.items()}
    if source.is_file():
        name = next((source.name[: -len(end)] for end in _ENDINGS if source.name.lower().endswith(end)), source.name)
        return {name: _by_name(source, read_points(source))}
    if not source.is_dir():
        raise DataError(f"There is no folder or table {source}.", "Check the path.")
    found = {}
    for name, names in called.items():
        files = [source / f"{each}{ending}" for each in names for ending in (*_ENDINGS, ".json")]
        file = next((file for file in files if file.is_file()), None)
        if file is not None and is_nnlandmark(file):
            found[name] = _in_voxels(file, stem(file), truth[name].affine)
        elif file is not None:
            found[name] = _by_name(file, read_points(file))
    return found


def read_true_points(
    source: Path, names: Sequence[str], affines: Mapping[str, np.ndarray] | None = None
) -> dict[str, dict[str, np.ndarray]]:
    """True points by case: of a folder of files, one for each case, of a table, or of nnLandmark's JSON.

    Points of other names than the landmarks' may have a name together, as in curves; they are left out.

    Args:
        source: The folder, table or JSON.
        names: The landmarks; all names when empty.
        affines: ``(4, 4)`` of the volumes of cases, for JSON that counts in voxels; its other cases are left out.

    Raises:
        DataError: There is none, one cannot be read, or a landmark is named twice.
    """
    if source.is_file() and is_nnlandmark(source):
        lists = read_nnlandmark(source, affines or {}, others="skip")
        return {name: _by_name(source, points, names) for name, points in lists.items()}
    if source.is_file() and source.name.lower().endswith((".csv", ".tsv")):
        lists = read_point_table(source)
        if set(lists) != {""}:
            return {name: _by_name(source, points, names) for name, points in lists.items()}
    own_tables = (MEASUREMENTS, CASES) if (source / PREDICTIONS).is_file() else ()  # of a run folder: no points
    files = [source] if source.is_file() else [file for file in sorted(source.iterdir()) if file.name not in own_tables]
    chosen: dict[str, Path] = {}
    for ending in _ENDINGS:
        own = [file for file in files if file.name.lower().endswith(ending) and file.is_file()]
        for file in own:
            chosen.setdefault(file.name[: -len(ending)], file)
        files = [file for file in files if file not in own]
    if not chosen:
        raise DataError(
            f"{source} holds no points.",
            f"These are taken: {', '.join(POINT_SUFFIXES)}; with a recipe also a data set of volumes and points.",
        )
    return {name: _by_name(file, read_points(file), names) for name, file in chosen.items()}


def _in_voxels(file: Path, case: str, affine: np.ndarray | None) -> dict[str, np.ndarray]:
    """Points of a case in a file of nnLandmark's, in RAS+ mm."""
    if affine is None:
        raise DataError(f"{file} counts in voxels of {case!r}, whose volume is not known.", "Name it with --images.")
    return _by_name(file, read_nnlandmark(file, {case: affine}, others="skip")[case])


def _by_name(file: Path, points: PointList, names: Sequence[str] = ()) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for label, place in zip(points.labels, points.points_mm, strict=True):
        if names and label not in names:
            continue
        if label in found:
            raise DataError(f"{file} names the landmark {label!r} twice.", "Give each landmark a name of its own.")
        if np.isfinite(place).all():
            found[label] = np.asarray(place)
    return found
