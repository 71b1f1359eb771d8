"""The point that a search for landmarks starts around, as a person gives it."""

from pathlib import Path

import numpy as np

from gracile.errors import DataError, UsageError
from gracile.io import POINT_SUFFIXES, read_points


def start_point(near: str, name: str) -> np.ndarray:
    """``(3,)`` RAS+ mm near the landmarks of an input.

    Args:
        near: ``X,Y,Z`` in RAS+ mm, a file of points, whose middle is taken, or a folder of such named as the inputs.
        name: Of the input.

    Raises:
        UsageError: It is none of these.
        DataError: A file cannot be read or has no point with a place, or the folder has none for the input.
    """
    numbers = near.split(",")
    path = Path(near)
    if len(numbers) == 3 and not path.exists():
        try:
            point = np.array([float(number) for number in numbers])
        except ValueError:
            point = np.full(3, np.nan)
        if np.isfinite(point).all():
            return point
    if path.is_dir():
        files = [path / f"{name}{suffix}" for suffix in POINT_SUFFIXES]
        found = next((file for file in files if file.is_file()), None)
        if found is None:
            raise DataError(f"{path} has no points of {name}.", f"Name the file {name}.fcsv.")
        path = found
    if not path.is_file():
        raise UsageError(f"{near!r} is no point.", "Write X,Y,Z in RAS mm, or name a file of points or their folder.")
    points = read_points(path)
    if not points.defined.any():
        raise DataError(f"{path} holds no point that has a place.", "Place one near the landmarks and save again.")
    return np.asarray(points.points_mm[points.defined].mean(axis=0))
