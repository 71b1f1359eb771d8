"""Labels of pictures and volumes as evaluation takes them: the truth on its own grid, predictions on the truth's."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gracile.errors import DataError
from gracile.geometry import Grid
from gracile.io import IMAGE_SUFFIXES, VOLUME_SUFFIXES, image_files, read_labels, read_volume_labels
from gracile.io.masks import LabelClass
from gracile.io.naming import is_volume_file


@dataclass
class Truth:
    """The labels of one case.

    Args:
        path: Their file.
        values: ``(*spatial)`` uint8 class indices, 255 where they are to be ignored.
        grid: Of a volume; None for a picture, whose spacing labels do not tell.
    """

    path: Path
    values: np.ndarray
    grid: Grid | None = None

    @property
    def spacing_mm(self) -> tuple[float, ...] | None:
        """Distance between samples along each axis, where it is known."""
        return None if self.grid is None else self.grid.spacing_mm


def label_files(source: Path, suffixes: tuple[str, ...] = (*IMAGE_SUFFIXES, *VOLUME_SUFFIXES)) -> list[Path]:
    """The label pictures and volumes right in a folder, or the one file that was named."""
    return [source] if source.is_file() else image_files(source, suffixes)


def read_truth(path: Path, classes: Sequence[LabelClass]) -> Truth:
    """Read the labels of a picture or a volume. Raises DataError."""
    if is_volume_file(path):
        labels = read_volume_labels(path, classes, ignored=True)
        return Truth(path, labels.values, labels.grid)
    return Truth(path, read_labels(path, classes, ignored=True))


def read_prediction(path: Path, classes: Sequence[LabelClass], truth: Truth) -> np.ndarray:
    """Read a mask on the grid of its truth; of a volume its axes are turned where they run otherwise.

    Raises:
        DataError: It cannot be read, is a picture of a volume or the reverse, or has another size or grid.
    """
    if is_volume_file(path) != (truth.grid is not None):
        kinds = ("a volume", "a picture") if is_volume_file(path) else ("a picture", "a volume")
        raise DataError(f"{path} is {kinds[0]}, its truth {truth.path.name} is {kinds[1]}.", "Check the folders.")
    if truth.grid is not None:
        return read_volume_labels(path, classes, truth.grid, recoded=False, owner=f"truth {truth.path.name}").values
    values = read_labels(path, classes, recoded=False)
    require_truths_size(path, values.shape, truth)
    return values


def require_truths_size(path: Path, shape: tuple[int, ...], truth: Truth) -> None:
    """Raise DataError when a mask, map or region has another size than its truth."""
    if shape != truth.values.shape:
        wanted = truth.values.shape
        raise DataError(
            f"{path} has {shape[1]} x {shape[0]} pixels, its truth {truth.path.name} {wanted[1]} x {wanted[0]}.",
            "Bring it to the size of the original image.",
        )
