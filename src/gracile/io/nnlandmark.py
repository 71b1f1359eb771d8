"""Landmarks as nnLandmark keeps them: JSON of voxel indices.

Two files: ``all_landmarks_voxel.json`` maps each case to its landmarks by name, each an index (i, j, k) in the order of
the image's axes; a prediction ``CASE.json`` maps each label number to its ``coordinates`` and ``likelihood``. Both
count in voxels, so that millimeters need the affine of each case's image. A data set has the first one beside
``imagesTr``; the names of a prediction's numbers lie beside it, in ``name_to_label.json`` or ``dataset.json``.

Format: the readme of MIC-DKFZ/nnLandmark (Ertl et al., arXiv 2504.06742).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gracile.errors import DataError
from gracile.geometry import PointList
from gracile.io.atomic import write_json
from gracile.io.naming import stem
from gracile.io.slicer_markups import read_points_json

ALL_LANDMARKS = "all_landmarks_voxel.json"
"""The annotations of all cases of a data set, training and test."""

_NAMES = "name_to_label.json"
_DATASET = "dataset.json"
_REMEDY = "It is not as nnLandmark writes it: see the readme of nnLandmark."


def is_nnlandmark(path: Path | str) -> bool:
    """Whether a file of points is such JSON by its name, and not 3D Slicer's."""
    name = Path(path).name.lower()
    return name.endswith(".json") and not name.endswith(".mrk.json")


def read_nnlandmark(
    path: Path | str,
    affines: Mapping[str, np.ndarray],
    names: Mapping[int, str] | None = None,
    *,
    others: Literal["error", "skip"] = "error",
) -> dict[str, PointList]:
    """Read landmarks of one or all cases in RAS+ mm.

    Args:
        path: ``all_landmarks_voxel.json``, or a prediction ``CASE.json``.
        affines: ``(4, 4)`` from voxel indices to RAS+ mm, by case.
        names: Names by label number, for predictions; by default those of ``name_to_label.json`` or of the ``labels``
            in ``dataset.json`` beside the file, else the numbers themselves.
        others: Whether a case without affine is an error or passed over.

    Returns:
        The landmarks by case; predictions carry their likelihoods.

    Raises:
        DataError: No such file, not this format, a case without affine, or places that are none.
    """
    path = Path(path)
    content = _content(path)
    cases = [case for case in nnlandmark_cases(path) if others == "error" or case in affines]
    if _is_prediction(content):
        return {case: _prediction(path, content, _affine(path, case, affines), _names(path, names)) for case in cases}
    return {case: _annotation(path, case, content[case], _affine(path, case, affines)) for case in cases}


def nnlandmark_cases(path: Path | str) -> list[str]:
    """The cases that a file has landmarks of. Raises DataError when it is none of this format."""
    content = _content(Path(path))
    return [stem(path)] if _is_prediction(content) else list(content)


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


def write_nnlandmark_prediction(path: Path | str, points: PointList, affine: np.ndarray) -> None:
    """Write a prediction ``CASE.json``, its landmarks numbered from 1, and the names of the numbers beside it.

    A landmark without a place has coordinates of null.

    Args:
        path: File to write; ``name_to_label.json`` in its folder is written with it.
        points: All landmarks in their order.
        affine: ``(4, 4)`` from voxel indices of the case's image to RAS+ mm.

    Raises:
        DataError: It cannot be written.
    """
    path = Path(path)
    inverse = np.linalg.inv(affine)
    likely = np.ones(len(points)) if points.probabilities is None else points.probabilities
    content = {}
    for number, (place, sure) in enumerate(zip(points.points_mm, likely, strict=True), start=1):
        voxel = inverse[:3, :3] @ place + inverse[:3, 3]
        known = bool(np.isfinite(voxel).all())
        content[str(number)] = {
            "coordinates": [float(value) for value in voxel] if known else [None] * 3,
            "likelihood": float(np.clip(sure, 0, 1)),
        }
    write_json(path, content)
    write_json(path.with_name(_NAMES), {name: number for number, name in enumerate(points.labels, start=1)})


def _content(path: Path) -> dict[str, dict[str, Any]]:
    content = read_points_json(path)
    if not isinstance(content, dict) or not content or not all(isinstance(part, dict) for part in content.values()):
        raise DataError(f"{path} holds no landmarks by case.", _REMEDY)
    if path.name.endswith("_mm.json"):
        raise DataError(f"{path} seems to count in millimeters from a corner.", "Take the file in voxels beside it.")
    return content


def _is_prediction(content: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether the parts of a file are landmarks of one case."""
    return any("coordinates" in part for part in content.values())


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
    beside, dataset = path.with_name(_NAMES), path.with_name(_DATASET)
    content: Any = {}
    if beside.is_file():
        content = read_points_json(beside)
    elif dataset.is_file():
        beside, whole = dataset, read_points_json(dataset)
        content = whole.get("labels", {}) if isinstance(whole, dict) else None
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
