"""Width of slender structures, sampled across the middle line of their mask."""

from collections.abc import Sequence
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
    segments: Sequence[Segment], mask: np.ndarray, *, sigma: float, exclude: np.ndarray | None = None
) -> list[WidthSamples]:
    """Width of a mask at each point of the segments of its skeleton.

    Twice the distance transform is off by up to a pixel, which is a quarter of a thin vessel. So the mask, read
    between its pixels by linear interpolation, is followed from the middle line to either side at a right angle
    until it falls below one half; the width is the distance between the two places. Not told (NaN): within one
    radius of a branch point, where two vessels are one; and where the way across meets `exclude`.

    Args:
        segments: Segments of the skeleton of `mask`.
        mask: ``(height, width)`` bool.
        sigma: Smoothing of the middle line in points.
        exclude: ``(height, width)`` bool, pixels that no sample may cross, or None.

    Returns:
        The samples of each segment.
    """
    lines = [curves.smooth(segment.points, sigma) for segment in segments]
    samples = [WidthSamples(line, np.full(len(line), np.nan), curves.point_weights(line)) for line in lines]
    long_enough = [number for number, line in enumerate(lines) if len(line) >= 3]
    use = {n: np.flatnonzero(_away_from_branches(segments[n], samples[n].weight)) for n in long_enough}
    use = {number: at for number, at in use.items() if len(at)}
    if not use:
        return samples
    points = np.concatenate([lines[n][at] for n, at in use.items()])
    ways = _Ways(
        points,
        np.concatenate([_across(lines[n])[at] for n, at in use.items()]),
        np.concatenate([_clear(segments[n], lines[n])[at] for n, at in use.items()]),
        np.concatenate([np.full(len(at), 2 * float(segments[n].radius[at].max()) + 3) for n, at in use.items()]),
    )
    exclude = np.zeros(mask.shape, dtype=bool) if exclude is None else exclude
    near = _near(points, float(ways.limit.max()), exclude)
    width = np.zeros(len(points))
    for sign in (-1, 1):
        reach = ways.reach(mask, sign)
        width += reach
        width[ways.meet(exclude, np.where(near, reach, np.nan), sign)] = np.nan
    ends = np.cumsum([len(at) for at in use.values()])
    for (number, at), own in zip(use.items(), np.split(width, ends[:-1]), strict=True):
        samples[number].width[at] = own
    return samples


def _across(line: np.ndarray) -> np.ndarray:
    """``(n, 2)`` unit vectors at a right angle to a line."""
    along = curves.tangents(line)
    return np.stack([-along[:, 1], along[:, 0]], axis=1)


def _clear(segment: Segment, line: np.ndarray) -> np.ndarray:
    """``(n,)`` how far from a smoothed line the four pixels about any place are surely of the mask."""
    return segment.radius - np.linalg.norm(line - segment.points, axis=1) - 1.5


def _away_from_branches(segment: Segment, weight: np.ndarray) -> np.ndarray:
    """``(n,)`` bool, True farther from the branch points at its ends than the radius there."""
    along, depth = np.cumsum(weight), segment.radius
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


@dataclass(frozen=True)
class _Ways:
    """Ways across a structure, each from a point of its middle line.

    Args:
        points: ``(n, 2)`` where they begin.
        directions: ``(n, 2)`` unit vectors.
        clear: ``(n,)`` how far each is surely inside.
        limit: ``(n,)`` how far each is followed.
    """

    points: np.ndarray
    directions: np.ndarray
    clear: np.ndarray
    limit: np.ndarray

    def reach(self, mask: np.ndarray, sign: int) -> np.ndarray:
        """``(n,)`` how far the mask reaches; NaN where it does not end."""
        found = np.full(len(self.points), np.nan)
        step = np.maximum(np.floor(self.clear / _STEP), 1).astype(np.int64)
        at = np.flatnonzero(step * _STEP < self.limit)
        while len(at):
            inside = self._inside(mask, at, sign * step[at] * _STEP)
            ended = at[inside < 0.5]
            before, after = self._inside(mask, ended, sign * (step[ended] - 1) * _STEP), inside[inside < 0.5]
            part = np.clip((before - 0.5) / np.maximum(before - after, 1e-6), 0, 1)
            found[ended] = (step[ended] - 1 + part) * _STEP
            at = at[inside >= 0.5]
            step[at] += 1
            at = at[step[at] * _STEP < self.limit[at]]
        return found

    def meet(self, exclude: np.ndarray, reach: np.ndarray, sign: int) -> np.ndarray:
        """``(n,)`` bool, True where a way of this length, which may be NaN, meets `exclude`."""
        met = np.zeros(len(reach), dtype=bool)
        at, distance = np.flatnonzero(reach >= 0), 0.0
        while len(at):
            row, column = np.rint(self.points[at] + sign * distance * self.directions[at]).astype(np.int64).T
            within = (row >= 0) & (column >= 0) & (row < exclude.shape[0]) & (column < exclude.shape[1])
            met[at[within]] |= exclude[row[within], column[within]]
            distance += _STEP
            at = at[(reach[at] >= distance) & ~met[at]]
        return met

    def _inside(self, mask: np.ndarray, at: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """The mask between its pixels, 0 outside of the picture, at a distance from some of the points."""
        places = self.points[at] + self.directions[at] * distance[:, None]
        corner = np.floor(places).astype(np.int64)
        down, right = (places - corner).T
        last_row, last_column = (side - 1 for side in mask.shape)
        within = ((places >= 0) & (places <= (last_row, last_column))).all(axis=1)
        row, column = np.clip(corner, 0, (last_row, last_column)).T
        below, beside = np.minimum(row + 1, last_row), np.minimum(column + 1, last_column)
        upper = mask[row, column] * (1 - right) + mask[row, beside] * right
        lower = mask[below, column] * (1 - right) + mask[below, beside] * right
        return np.where(within, upper * (1 - down) + lower * down, 0.0)


def _near(points: np.ndarray, distance: float, exclude: np.ndarray) -> np.ndarray:
    """``(n,)`` bool, False where a point is surely farther from `exclude` than this."""
    block = int(distance) + 2
    flags = np.zeros([side // block + 3 for side in exclude.shape], dtype=bool)
    flags[tuple(place // block + 1 for place in np.nonzero(exclude))] = True
    row, column = (np.clip(points, 0, np.array(exclude.shape) - 1) // block).astype(np.int64).T + 1
    return ndimage.maximum_filter(flags, 3)[row, column]
