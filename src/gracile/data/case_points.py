"""The points of one case from its files: the recipe's landmarks by name."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gracile.errors import DataError
from gracile.geometry import PointList
from gracile.io import read_points, stem
from gracile.io.nnlandmark import is_nnlandmark, nnlandmark_cases, read_nnlandmark
from gracile.io.point_tables import read_point_table


def read_case_points(
    paths: Sequence[Path], ids: Sequence[str], names: Sequence[str], affine: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """All points of a case that have a place, in RAS+ mm.

    Points of other names than the landmarks', such as those of curves, may have a name together; the last one is kept.

    Args:
        paths: Its files; a table may hold the points of other cases too.
        ids: What the case may be called in a table.
        names: The recipe's landmarks.
        affine: ``(4, 4)`` of its volume, for files that count in voxels.

    Raises:
        DataError: A file cannot be read or holds nothing of the case, or a landmark is named twice.
    """
    points: dict[str, np.ndarray] = {}
    for path in paths:
        own = _of_case(path, ids, affine)
        for label, place in zip(own.labels, own.points_mm, strict=True):
            if label in points and label in names:
                raise DataError(
                    f"{path} names the landmark {label!r} a second time.", "Give each landmark a name of its own."
                )
            if np.isfinite(place).all():
                points[label] = place
    if not points:
        raise DataError(f"{paths[0]} holds no point of {ids[0]} that has a place.", "Place its points and save again.")
    return points


def _of_case(path: Path, ids: Sequence[str], affine: np.ndarray | None) -> PointList:
    if is_nnlandmark(path):
        own = _known(path, (*ids, stem(path)), nnlandmark_cases(path))
        if affine is None:
            raise DataError(f"{path} counts in voxels of {own!r}, whose image is not known.", "Correct the image.")
        return read_nnlandmark(path, {own: affine}, others="skip")[own]
    if not path.name.lower().endswith((".csv", ".tsv")):
        return read_points(path)
    cases = read_point_table(path)
    return cases[_known(path, (*ids, ""), list(cases))]


def _known(path: Path, ids: Sequence[str], cases: Sequence[str]) -> str:
    """What a case is called among those of a file. Raises DataError when it is not there."""
    for id in ids:
        if id in cases:
            return id
    raise DataError(f"{path} has no points of {ids[0]}.", f"It has those of {', '.join(cases[:8])}.")
