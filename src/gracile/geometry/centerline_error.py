"""How far a found line runs from the true one, slice by slice."""

from dataclasses import dataclass

import numpy as np

from gracile.errors import GeometryError
from gracile.geometry.centerline import Centerline, centerline_from_mask
from gracile.geometry.grid import Grid
from gracile.geometry.slices import axial_slices


@dataclass(frozen=True)
class CenterlineError:
    """The error of a line on each slice that the true structure is on.

    Args:
        slices: ``(n,)`` indices of these slices, from inferior to superior.
        distances_mm: ``(n,)`` distance within the slice; infinite where the line does not reach it.
        outside: ``(n,)`` whether the line is not inside the true mask there; None when the truth is a line.
    """

    slices: np.ndarray
    distances_mm: np.ndarray
    outside: np.ndarray | None = None

    @property
    def missed(self) -> int:
        """Number of slices that the line does not reach."""
        return int(np.isinf(self.distances_mm).sum())

    @property
    def mean_mm(self) -> float | None:
        """Mean distance over the slices that the line reaches; None when it reaches none. Read it beside `missed`."""
        reached = self.distances_mm[np.isfinite(self.distances_mm)]
        return float(reached.mean()) if len(reached) else None

    def share_within(self, mm: float = 2.0) -> float:
        """Share of the slices on which the line is at most so far off; slices that it does not reach are not."""
        return float((self.distances_mm <= mm).mean())

    @property
    def share_outside(self) -> float | None:
        """Share of the slices on which the line is not inside the true mask, or does not reach."""
        return None if self.outside is None else float(self.outside.mean())


def centerline_error(found: Centerline, truth: np.ndarray | Centerline, grid: Grid) -> CenterlineError:
    """Compare a line with a true mask or a true line.

    Args:
        found: The line.
        truth: ``(I, J, K)`` mask on the grid, whose center of mass on each slice is the truth, or a line.
        grid: The grid whose axial slices count.

    Returns:
        The errors on the slices that the truth is on.

    Raises:
        GeometryError: An empty mask, a mask of another size than the grid, or a grid without an affine.
    """
    if grid.affine is None:
        raise GeometryError("Distances need a grid whose place in the patient is known.")
    whole = np.broadcast_to(np.False_, grid.shape)
    mask = whole if isinstance(truth, Centerline) else np.greater(truth, 0)
    if mask.shape != grid.shape:
        raise GeometryError(f"The mask has size {mask.shape}, its grid {grid.shape}.")
    slices = axial_slices(mask, grid.affine)
    line = truth if isinstance(truth, Centerline) else centerline_from_mask(mask, grid.affine, smoothing_mm=0)
    true, true_line = line.on_slices(slices)
    if not isinstance(truth, Centerline):
        present = np.array([picture.any() for picture in slices.volume])[true]
        true, true_line = true[present], Centerline(true_line.points_mm[present])
    places = np.full((len(true), 3), np.nan)
    met, found_line = found.on_slices(slices)
    _, here, there = np.intersect1d(true, met, return_indices=True)
    places[here] = slices.to_places(found_line.points_mm[there])
    reached = np.isfinite(places[:, 0])
    off = (places - slices.to_places(true_line.points_mm))[:, 1:] @ slices.affine[:3, 1:3].T
    distances = np.where(reached, np.linalg.norm(off, axis=1), np.inf)
    if isinstance(truth, Centerline):
        return CenterlineError(true, distances)
    outside = np.ones(len(true), dtype=bool)
    row, column = (np.rint(places[reached, axis]).astype(int) for axis in (1, 2))
    height, width = slices.volume.shape[1:]
    within = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    outside[reached] = ~within | ~slices.volume[true[reached], row.clip(0, height - 1), column.clip(0, width - 1)]
    return CenterlineError(true, distances, outside)
