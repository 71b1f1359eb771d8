"""The column of a case along a line, and its intensities standardized by its own."""

from typing import Protocol

import numpy as np
from scipy import ndimage

from gracile.geometry import Centerline
from gracile.transforms.column import Column
from gracile.transforms.prepared import Prepared


class ColumnSpec(Protocol):
    """What a stage says of its columns: samples of a slice, and mm of each axis."""

    size: tuple[int, int]
    spacing_mm: tuple[float, float, float]


def column_of(case: Prepared, line: Centerline, spec: ColumnSpec) -> Column:
    """The column of a prepared volume along a line."""
    assert case.affine is not None
    shape = (case.region.shape[0], case.region.shape[1], case.region.shape[2])
    return Column.along(line, case.affine, shape, spec.size, spec.spacing_mm)


def evened(column: Column, cut: np.ndarray, reach_mm: float) -> np.ndarray:
    """``(channels, *size, length)`` standardized by mean and deviation of the slices around each one."""
    mean, deviation = levels(column, cut, reach_mm)
    return ((cut - mean) / deviation).astype(np.float32)


def levels(column: Column, cut: np.ndarray, reach_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each slice's surroundings along the column, ``(length,)`` each; 0 takes it as a whole."""
    # The difference of large squares keeps its digits in float64 alone.
    means = cut.mean(axis=(0, 1, 2), dtype=np.float64)
    squares = np.square(cut, dtype=np.float64).mean(axis=(0, 1, 2))
    if reach_mm:
        sigma = reach_mm / column.slice_mm
        means, squares = (ndimage.gaussian_filter1d(part, sigma, mode="nearest") for part in (means, squares))
    else:
        means, squares = (np.full(len(part), part.mean()) for part in (means, squares))
    return means, np.sqrt(np.maximum(squares - means**2, 1e-6))
