"""RAS and LPS: the two ways in which files count millimeters, read from the file and never guessed."""

from pathlib import Path
from typing import Literal

import numpy as np

from gracile.errors import DataError

System = Literal["RAS", "LPS"]

_SIGNS = {"RAS": np.array([1.0, 1.0, 1.0]), "LPS": np.array([-1.0, -1.0, 1.0])}
_NAMES: dict[str, System] = {"RAS": "RAS", "0": "RAS", "LPS": "LPS", "1": "LPS"}
"""Numbers are those of Slicer's older .fcsv files; 2 is voxel indices."""


def coordinate_system(word: object, path: Path) -> System:
    """The system that a file names as ``RAS``, ``LPS``, 0 or 1.

    Raises:
        DataError: It names none, or one that cannot be used.
    """
    if word is None or word == "":
        raise DataError(
            f"{path} does not say in which coordinate system its points are.",
            "Add it (LPS is what 3D Slicer writes today, RAS what it wrote before 4.11), or save it again in Slicer.",
        )
    name = str(word).strip().upper()
    if name in {"2", "IJK"}:
        raise DataError(f"{path} counts in voxels (IJK) of an unnamed image.", "Save it in LPS or RAS millimeters.")
    if name not in _NAMES:
        raise DataError(f"{path} names the coordinate system {word!r}, which is unknown.", "Known are LPS and RAS.")
    return _NAMES[name]


def exchanged(points_mm: np.ndarray, system: System) -> np.ndarray:
    """Points of a system in RAS+, or points in RAS+ in that system: both change the same signs."""
    return points_mm * _SIGNS[system]


def exchanged_axes(axes: np.ndarray, system: System) -> np.ndarray:
    """``(n, 3, 3)`` axes as columns, from a system to RAS+ or back."""
    return _SIGNS[system][:, None] * axes
