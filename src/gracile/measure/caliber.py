"""Width of slender structures, sampled across the middle line of their mask."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from gracile.geometry import curves
from gracile.geometry.skeleton import Segment

_STEP = 0.25


@dataclass(frozen=True)
class WidthSamples:
    """Widths along one segment.

    Args:
        points: ``(n, 2)`` smoothed middle line (row, column).
        width: ``(n,)`` width in pixels; NaN where it cannot be told.
        weight: ``(n,)`` length in pixels that each sample stands for.
    """

    points: np.ndarray
    width: np.ndarray
    weight: np.ndarray


def sample_widths(
    segment: Segment, mask: np.ndarray, radius: np.ndarray, *, sigma: float, exclude: np.ndarray | None = None
) -> WidthSamples:
    """Width of a mask at each point of one segment of its skeleton.

    Twice the distance transform is off by up to a pixel, which is a quarter of a thin vessel. So the mask, read
    between its pixels by linear interpolation, is followed from the middle line to either side at a right angle
    until it falls below one half; the width is the distance between the two places. Not told (NaN): within one
    radius of a branch point, where two vessels are one; and where the way across meets `exclude`.

    Args:
        segment: Segment of the skeleton of `mask`.
        mask: ``(height, width)`` bool.
        radius: ``(height, width)`` distance to the background in pixels (`skeleton.distance_to_background`).
        sigma: Smoothing of the middle line in points.
        exclude: ``(height, width)`` bool, pixels that no sample may cross, or None.

    Returns:
        The samples.
    """
    points = curves.smooth(segment.points, sigma)
    weight = curves.point_weights(points)
    width = np.full(len(points), np.nan)
    if len(points) < 3:
        return WidthSamples(points, width, weight)
    depth = radius[segment.points[:, 0], segment.points[:, 1]]
    use = np.flatnonzero(_away_from_branches(segment, weight, depth))
    if not len(use):
        return WidthSamples(points, width, weight)
    along = curves.tangents(points)[use]
    normal = np.stack([-along[:, 1], along[:, 0]], axis=1)
    offsets = np.arange(0, 2 * float(depth[use].max()) + 3, _STEP)
    first = np.maximum(np.floor(points.min(axis=0) - offsets[-1]).astype(int) - 1, 0)
    last = np.ceil(points.max(axis=0) + offsets[-1]).astype(int) + 2
    box = (slice(first[0], last[0]), slice(first[1], last[1]))
    near = mask[box].astype(np.float32)
    barred = None if exclude is None else exclude[box].astype(np.uint8)
    low, ended_low, crossed_low = _reach(points[use] - first, -normal, offsets, near, barred)
    high, ended_high, crossed_high = _reach(points[use] - first, normal, offsets, near, barred)
    good = ended_low & ended_high & ~crossed_low & ~crossed_high
    width[use[good]] = (low + high)[good]
    return WidthSamples(points, width, weight)


def _away_from_branches(segment: Segment, weight: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """``(n,)`` bool, True farther from the branch points at its ends than the radius there."""
    along = np.cumsum(weight)
    keep = np.ones(len(weight), dtype=bool)
    if segment.start >= 0:
        keep &= along > depth[0] + 1
    else:
        keep &= along > depth[: max(1, len(depth) // 2)].max() / 2
    if segment.end >= 0:
        keep &= along[-1] - along > depth[-1] + 1
    else:
        keep &= along[-1] - along > depth[-max(1, len(depth) // 2) :].max() / 2
    return keep


def _reach(
    points: np.ndarray, direction: np.ndarray, offsets: np.ndarray, mask: np.ndarray, exclude: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far a mask reaches from points in a direction; whether it ended; whether the way met `exclude`."""
    places = (points[:, None] + direction[:, None] * offsets[None, :, None]).transpose(2, 0, 1)
    inside = ndimage.map_coordinates(mask, places, order=1, mode="constant")
    below = inside < 0.5
    below[:, 0] = False
    first = np.argmax(below, axis=1)
    rows = np.arange(len(points))
    before, after = inside[rows, first - 1], inside[rows, first]
    part = np.clip((before - 0.5) / np.maximum(before - after, 1e-6), 0, 1)
    reach = (first - 1 + part) * _STEP
    crossed = np.zeros(len(points), dtype=bool)
    if exclude is not None:
        met = ndimage.map_coordinates(exclude, places, order=0, mode="constant") > 0
        crossed = (met & (offsets[None] <= reach[:, None])).any(axis=1)
    return reach, first > 0, crossed
