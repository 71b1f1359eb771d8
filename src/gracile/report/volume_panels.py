"""Flat views of a volume around a line: where each of their pixels lies, and what the volume holds there."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from gracile.geometry import Slices

Letters = tuple[str, str, str, str]
"""What lies at the top, bottom, left and right of a view."""

_SAGITTAL: Letters = ("S", "I", "A", "P")
_CORONAL: Letters = ("S", "I", "R", "L")
_AXIAL: Letters = ("A", "P", "R", "L")


@dataclass(frozen=True)
class Panel:
    """One view.

    Args:
        places: ``(height, width, 3)`` where each pixel lies, as (slice, row, column).
        letters: Its directions.
        caption: Words on it.
        line: ``(n, 2)`` places of the line in it as (y, x); a single one where it runs through the view, none where
            there is no line.
        mm_per_pixel: Size of its pixels.
    """

    places: np.ndarray
    letters: Letters
    caption: str
    line: np.ndarray
    mm_per_pixel: float

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.places.shape[0], self.places.shape[1]

    def gray(self, volume: np.ndarray) -> np.ndarray:
        """``(height, width)`` float32 values of a volume, linearly between its voxels; NaN outside it."""
        at = np.moveaxis(self.places, -1, 0)
        values = ndimage.map_coordinates(volume, at, order=1, mode="nearest", output=np.float32)
        values[_outside(self.places, volume.shape)] = np.nan
        return values

    def labels(self, volume: np.ndarray) -> np.ndarray:
        """``(height, width)`` labels of the nearest voxels, so that the borders are those of the voxels; 0 outside."""
        nearest = np.rint(self.places).astype(np.intp)
        inside = np.clip(nearest, 0, np.array(volume.shape) - 1)
        found = volume[inside[..., 0], inside[..., 1], inside[..., 2]].copy()
        found[_outside(self.places, volume.shape)] = 0
        return found


def along_panels(
    slices: Slices,
    line: np.ndarray,
    known: np.ndarray,
    *,
    height: int,
    margin_mm: float = 32.0,
    widest_mm: float = 150.0,
) -> tuple[Panel, Panel]:
    """The sagittal and the coronal view, bent so that each slice is cut where the line runs through it.

    Args:
        slices: The volume.
        line: ``(slices, 2)`` row and column to look at on every slice.
        known: ``(slices,)`` whether the line runs through the slice.
        height: Pixels from the lowest slice to the highest.
        margin_mm: How far the views reach beyond the line.
        widest_mm: Their largest width; wider where the line itself is.
    """
    count = len(slices.volume)
    distance, *spacing = slices.spacing_mm
    step_mm = count * distance / height
    levels = count - 0.5 - (np.arange(height) + 0.5) * count / height  # from above to below
    there = known[np.clip(np.rint(levels).astype(int), 0, count - 1)]
    on_levels = [np.interp(levels, np.arange(count), line[:, axis]) for axis in (0, 1)]
    panels = []
    for axis, letters, caption in ((0, _SAGITTAL, "sagittal"), (1, _CORONAL, "coronal")):
        along = line[:, axis] * spacing[axis]
        length = slices.volume.shape[1 + axis] * spacing[axis]
        low, high = along.min() - margin_mm, along.max() + margin_mm
        if high - low < min(widest_mm, length):  # as much as fits, for the surroundings
            low, high = (np.array([-1, 1]) * min(widest_mm, length) + low + high) / 2
        low, high = max(low, -spacing[axis] / 2), min(high, length - spacing[axis] / 2)
        width = max(1, round((high - low) / step_mm))
        across = (low + (np.arange(width) + 0.5) * step_mm) / spacing[axis]
        places = np.empty((height, width, 3))
        places[..., 0] = levels[:, None]
        places[..., 1 + axis] = across
        places[..., 2 - axis] = on_levels[1 - axis][:, None]
        x = (on_levels[axis] * spacing[axis] - low) / step_mm - 0.5
        panels.append(Panel(places, letters, caption, np.column_stack([np.arange(height), x])[there], step_mm))
    return panels[0], panels[1]


def axial_panel(slices: Slices, index: int, center: np.ndarray, known: bool, *, side: int, side_mm: float) -> Panel:
    """The view of one slice around a place (row, column), as if seen from the feet.

    Args:
        slices: The volume.
        index: The slice, counted from below.
        center: Place in the middle of the view.
        known: Whether that is the line's.
        side: Pixels of a side.
        side_mm: Millimeters of a side.
    """
    offsets = ((np.arange(side) + 0.5) / side - 0.5) * side_mm
    places = np.empty((side, side, 3))
    places[..., 0] = index
    places[..., 1] = (center[0] + offsets / slices.spacing_mm[1])[:, None]
    places[..., 2] = center[1] + offsets / slices.spacing_mm[2]
    middle = np.full((int(known), 2), (side - 1) / 2)
    return Panel(places, _AXIAL, f"{slices.in_file(index)}", middle, side_mm / side)


def _outside(places: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return np.any((places < -0.5) | (places > np.array(shape) - 0.5), axis=-1)
