"""The line along a slender structure in a volume."""

from dataclasses import dataclass

import numpy as np

from gracile.errors import GeometryError
from gracile.geometry import curves
from gracile.geometry.grid import Grid
from gracile.geometry.slices import Slices, axial_slices
from gracile.geometry.smooth_lines import robust_curve, smooth_curve

SMOOTHING_MM = 5.0
"""Bandwidth of the smoothing of lines: what is shorter than some 30 mm counts as noise."""

SETTLING_MM = 20.0
END_MM = 10.0


@dataclass(frozen=True)
class Centerline:
    """Where the middle of a slender structure runs.

    Args:
        points_mm: ``(n, 3)`` RAS+ millimeters, in order from one end to the other (a cord's from below to above).
        probabilities: ``(n,)`` how sure each point is, 0 to 1; None for a line that was computed from a mask.
    """

    points_mm: np.ndarray
    probabilities: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.points_mm.ndim != 2 or self.points_mm.shape[1] != 3 or not len(self.points_mm):
            raise GeometryError(f"A centerline has points of shape (n, 3), not {self.points_mm.shape}.")
        if self.probabilities is not None and len(self.probabilities) != len(self.points_mm):
            raise GeometryError(f"{len(self.points_mm)} points cannot have {len(self.probabilities)} probabilities.")

    @property
    def arc_mm(self) -> np.ndarray:
        """``(n,)`` length along the line from its first point to each."""
        return np.concatenate([[0.0], np.cumsum(curves.steps(self.points_mm))])

    @property
    def length_mm(self) -> float:
        """Length from the first point to the last."""
        return curves.arc_length(self.points_mm)

    def in_voxels(self, affine: np.ndarray) -> np.ndarray:
        """``(n, 3)`` voxel indices on the grid of an affine (voxels to RAS+ mm)."""
        inverse = np.linalg.inv(affine)
        return self.points_mm @ inverse[:3, :3].T + inverse[:3, 3]

    def tangents(self, smoothing_mm: float = SMOOTHING_MM) -> np.ndarray:
        """``(n, 3)`` unit vectors along the line at its points, from a smoothing spline; a single point's points up."""
        if len(self.points_mm) < 2:
            return np.array([[0.0, 0.0, 1.0]])
        arc = self.arc_mm
        along = smooth_curve(arc, self.points_mm, smoothing_mm)(arc, 1)
        return along / np.linalg.norm(along, axis=1, keepdims=True)

    def resampled(self, step_mm: float) -> "Centerline":
        """The same line with points at equal steps of its length; the last step may be shorter."""
        if step_mm <= 0:
            raise GeometryError(f"A step of {step_mm} mm leads nowhere.", "Give a step above zero.")
        arc = self.arc_mm
        at = np.unique(np.append(np.arange(0, arc[-1], step_mm), arc[-1]))
        points = np.stack([np.interp(at, arc, column) for column in self.points_mm.T], axis=1)
        sure = None if self.probabilities is None else np.interp(at, arc, self.probabilities)
        return Centerline(points, sure)

    def distances_mm(self, points_mm: np.ndarray) -> np.ndarray:
        """``(m,)`` distance of points ``(m, 3)`` to the nearest place on the line, between its points too."""
        points = np.asarray(points_mm, dtype=np.float64)
        start = self.points_mm[:-1] if len(self.points_mm) > 1 else self.points_mm
        step = np.diff(self.points_mm, axis=0) if len(self.points_mm) > 1 else np.zeros((1, 3))
        square = np.maximum((step**2).sum(axis=1), 1e-12)
        out = np.empty(len(points))
        for first in range(0, len(points), 1024):
            off = points[first : first + 1024, None] - start
            part = np.clip((off * step).sum(axis=2) / square, 0, 1)
            out[first : first + 1024] = np.linalg.norm(off - part[..., None] * step, axis=2).min(axis=1)
        return out

    def on_slices(self, slices: Slices, beyond_mm: float = 0.0) -> tuple[np.ndarray, "Centerline"]:
        """Where the line meets the slices of a volume.

        Args:
            slices: The slices.
            beyond_mm: Also give points on slices so far beyond the line's ends, straight above and below these.

        Returns:
            ``(n,)`` indices of the slices, and the line with one point on each of them.

        Raises:
            GeometryError: The line turns back, so that it meets slices more than once, or meets none.
        """
        height, *rows_columns = slices.to_places(self.points_mm).T
        if (np.diff(height) <= 0).any():
            raise GeometryError("The line turns back on its way through the slices.")
        more = beyond_mm / slices.distance_mm + 1e-6
        first, last = max(0.0, np.ceil(height[0] - more)), min(len(slices.volume) - 1, np.floor(height[-1] + more))
        met = np.arange(first, last + 1).astype(int)
        if not len(met):
            raise GeometryError("The line meets no slice of the volume.", "Do the line and the volume belong together?")
        places = np.column_stack([met, *(np.interp(met, height, column) for column in rows_columns)])
        sure = None if self.probabilities is None else np.interp(met, height, self.probabilities)
        return met, Centerline(slices.to_mm(places), sure)


def centerline_from_mask(
    mask: np.ndarray, affine: np.ndarray, *, smoothing_mm: float = SMOOTHING_MM, extend: bool | float = False
) -> Centerline:
    """The line through the centers of mass of a mask's axial slices.

    Gaps are bridged. Slices whose center is far off the others' (a leak, an island) lose their weight.

    Args:
        mask: ``(I, J, K)`` bool, or shares of the structure in each voxel, in the order of the file.
        affine: ``(4, 4)`` from voxel indices to RAS+ mm.
        smoothing_mm: Bandwidth of the smoothing, see `gracile.geometry.smooth_lines`; 0 keeps the centers.
        extend: How far the line goes on beyond the ends of the mask: not, to the ends of the volume (True), or for
            some millimeters. It goes on straight at first and turns upright within some 20 mm, inside the volume.

    Returns:
        One point per slice, from inferior to superior.

    Raises:
        GeometryError: The mask is empty.
    """
    slices = axial_slices(np.asarray(mask), affine)
    mass = slices.volume.sum(axis=(1, 2), dtype=np.float64)
    found = np.flatnonzero(mass > 0)
    if not len(found):
        raise GeometryError("The mask is empty: it has no centerline.", "Check that it is the structure's own mask.")
    mass = mass[found]
    places = np.stack([_center_of_mass(slices.volume[index]) for index in found])
    weights = np.clip(mass / np.median(mass), 0.1, 1.0)
    at = _extended(found, len(slices.volume), slices.distance_mm, extend)
    return _line_at(slices, found, places, weights, at, smoothing_mm)


def centerline_from_places(
    places: np.ndarray,
    slices: Slices,
    *,
    inside: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    smoothing_mm: float = SMOOTHING_MM,
) -> Centerline:
    """The smooth line through one place on each of a volume's slices, such as those of `best_path`.

    Args:
        places: ``(slices, 2)`` row and column on each slice.
        slices: The slices.
        inside: ``(slices,)`` whether the structure is on the slice; the line goes on from where it is to all slices,
            as `centerline_from_mask` extends it. None: it is on all.
        probabilities: ``(slices,)`` how sure each place is, and its weight in the line; None for equal weights.
        smoothing_mm: Bandwidth of the smoothing.

    Returns:
        One point per slice, from inferior to superior.

    Raises:
        GeometryError: The structure is on no slice.
    """
    at = np.arange(len(slices.volume))
    found = at if inside is None else np.flatnonzero(inside)
    if not len(found):
        raise GeometryError("A line needs a slice that the structure is on.")
    weights = None
    if probabilities is not None:
        weights = np.maximum(probabilities[found], 1e-3)
        weights = np.clip(weights / np.median(weights), 0.1, 1.0)
    line = _line_at(slices, found, np.asarray(places, dtype=np.float64)[found], weights, at, smoothing_mm)
    return Centerline(line.points_mm, probabilities)


def voxels_on_line(line: Centerline, grid: Grid) -> np.ndarray:
    """The voxels that a line runs through, one on each axial slice between its ends.

    Args:
        line: The line.
        grid: A volume's grid.

    Returns:
        ``(I, J, K)`` uint8, 1 on the line.

    Raises:
        GeometryError: The grid has no affine, or the line does not run through its slices.
    """
    if grid.affine is None:
        raise GeometryError("A line lies on a grid whose place in the patient is known.")
    mask = np.zeros(grid.shape, dtype=np.uint8)
    slices = axial_slices(mask, grid.affine)
    met, on = line.on_slices(slices)
    row, column = np.rint(slices.to_places(on.points_mm)[:, 1:]).astype(int).T
    height, width = slices.volume.shape[1:]
    within = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    slices.volume[met[within], row[within], column[within]] = 1
    return mask


def _center_of_mass(picture: np.ndarray) -> np.ndarray:
    rows, columns = picture.sum(axis=1, dtype=np.float64), picture.sum(axis=0, dtype=np.float64)
    whole = rows.sum()
    return np.array([rows @ np.arange(len(rows)) / whole, columns @ np.arange(len(columns)) / whole])


def _extended(found: np.ndarray, count: int, distance_mm: float, extend: bool | float) -> np.ndarray:
    """Indices of the slices that a line has a point on."""
    more = count if extend is True else int(float(extend) / distance_mm)
    return np.arange(max(0, found[0] - more), min(count - 1, found[-1] + more) + 1)


def _line_at(
    slices: Slices, found: np.ndarray, places: np.ndarray, weights: np.ndarray | None, at: np.ndarray, smoothing: float
) -> Centerline:
    """The smooth line through places (row, column) on some slices, with a point on each slice of `at`."""
    scale = np.array(slices.spacing_mm[1:])
    curve = robust_curve(found * slices.distance_mm, places * scale, smoothing, weights)
    low, high = found[0] * slices.distance_mm, found[-1] * slices.distance_mm
    heights = at * slices.distance_mm
    rows_columns = curve(np.clip(heights, low, high))
    for end, beyond in ((low, np.minimum(heights - low, 0)), (high, np.maximum(heights - high, 0))):
        inner = np.clip(end + np.sign(low + high - 2 * end) * min(END_MM, high - low), low, high)
        if inner != end and beyond.any():
            slope = (curve(np.array([end])) - curve(np.array([inner]))) / (end - inner)
            settled = np.sign(beyond) * SETTLING_MM * (1 - np.exp(-np.abs(beyond) / SETTLING_MM))
            rows_columns = rows_columns + slope * settled[:, None]
    rows_columns = np.clip(rows_columns / scale, 0, np.array(slices.volume.shape[1:]) - 1)
    return Centerline(slices.to_mm(np.column_stack([at, rows_columns])))
