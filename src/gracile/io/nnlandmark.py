"""Landmarks as nnLandmark keeps them: JSON of voxel indices.

Two files: ``all_landmarks_voxel.json`` maps each case to its landmarks by name, each an index (i, j, k) in the order of
the image's axes; a prediction ``CASE.json`` maps each label number to its ``coordinates`` and ``likelihood``. Both
count in voxels, so that millimeters need the affine of each case's image.

Format: the readme of MIC-DKFZ/nnLandmark (Ertl et al., arXiv 2504.06742).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.geometry import PointList
from gracile.io.atomic import write_json
from gracile.io.naming import stem
from gracile.io.slicer_markups import read_json

_NAMES = "name_to_label.json"
_REMEDY = "It is not as nnLandmark writes it: see the readme of nnLandmark."


def read_nnlandmark(
    path: Path | str, affines: Mapping[str, np.ndarray], names: Mapping[int, str] | None = None
) -> dict[str, PointList]:
    """Read landmarks of one or all cases in RAS+ mm.

    Args:
        path: ``all_landmarks_voxel.json``, or a prediction ``CASE.json``.
        affines: ``(4, 4)`` from voxel indices to RAS+ mm, by case.
        names: Names by label number, for predictions; by default those of ``name_to_label.json`` beside the file, else
            the numbers themselves.

    Returns:
        The landmarks by case; predictions carry their likelihoods.

    Raises:
        DataError: No such file, not this format, a case without affine, or places that are none.
    """
    path = Path(path)
    content = read_json(path)
    if not isinstance(content, dict) or not content or not all(isinstance(part, dict) for part in content.values()):
        raise DataError(f"{path} holds no landmarks by case.", _REMEDY)
    if path.name.endswith("_mm.json"):
        raise DataError(f"{path} seems to count in millimeters from a corner.", "Take the file in voxels beside it.")
    if any("coordinates" in part for part in content.values()):
        case = stem(path)
        return {case: _prediction(path, content, _affine(path, case, affines), _names(path, names))}
    return {case: _annotation(path, case, marks, _affine(path, case, affines)) for case, marks in content.items()}


def write_nnlandmark(path: Path | str, points: Mapping[str, PointList], affines: Mapping[str, np.ndarray]) -> None:
    """Write ``all_landmarks_voxel.json``; landmarks without a place are left out, as nnLandmark wants it.

    Raises:
        DataError: A case without affine, or it cannot be written.
        GeometryError: Two landmarks of a case have the same name.
    """
    path = Path(path)
    content = {}
    for case, some in points.items():
        inverse = np.linalg.inv(_affine(path, case, affines))
        content[case] = {
            name: [float(value) for value in inverse[:3, :3] @ place + inverse[:3, 3]]
            for name, place in some.by_label().items()
        }
    write_json(path, content)


def _annotation(path: Path, case: str, marks: dict[str, Any], affine: np.ndarray) -> PointList:
    places = [_place(path, f"{case}, {name}", place) for name, place in marks.items()]
    return PointList(_to_mm(np.array(places).reshape(-1, 3), affine), list(marks))


def _prediction(path: Path, marks: dict[str, Any], affine: np.ndarray, names: Mapping[str, str]) -> PointList:
    places, labels, likely = [], [], []
    for number, mark in marks.items():
        likelihood = mark.get("likelihood", 1.0)
        if not isinstance(likelihood, int | float) or not 0 <= likelihood <= 1:
            raise DataError(f"{path}: landmark {number} has the likelihood {likelihood!r}.", _REMEDY)
        missed = mark.get("coordinates") == [None, None, None]
        places.append(np.full(3, np.nan) if missed else _place(path, number, mark.get("coordinates")))
        labels.append(names.get(number, number))
        likely.append(float(likelihood))
    return PointList(_to_mm(np.array(places), affine), labels, probabilities=np.array(likely))


def _place(path: Path, name: str, place: Any) -> np.ndarray:
    good = isinstance(place, list) and len(place) == 3
    good = good and all(isinstance(v, int | float) and not isinstance(v, bool) and np.isfinite(v) for v in place)
    if not good:
        raise DataError(f"{path}: {name} has no place of three numbers.", _REMEDY)
    return np.array(place, dtype=np.float64)


def _names(path: Path, names: Mapping[int, str] | None) -> dict[str, str]:
    """Names by label number as text."""
    if names is not None:
        return {str(number): name for number, name in names.items()}
    beside = path.with_name(_NAMES)
    content = read_json(beside) if beside.is_file() else {}
    if not isinstance(content, dict) or not all(isinstance(number, int) for number in content.values()):
        raise DataError(f"{beside} holds no label numbers by name.", _REMEDY)
    return {str(number): name for name, number in content.items()}


def _affine(path: Path, case: str, affines: Mapping[str, np.ndarray]) -> np.ndarray:
    if case not in affines:
        raise DataError(
            f"{path} counts in voxels of {case!r}, whose image is not known.", "Give the image of each case."
        )
    return affines[case]


def _to_mm(voxels: np.ndarray, affine: np.ndarray) -> np.ndarray:
    return voxels @ affine[:3, :3].T + affine[:3, 3]
