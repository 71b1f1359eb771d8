"""What is taken of an input to judge it: some of its values with their places, and how far neighbors differ."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gracile.case import Case

SAMPLES = 96
"""Along each side of a picture, for figures of its values alone; `VOLUME_SAMPLES` along each of a volume."""

VOLUME_SAMPLES = 48

DETAIL_SIZE = 640
"""Longer side at which detail is looked at, in pixels; volumes are looked at voxel by voxel."""

LINES = 64
"""Along which detail is measured, for each other axis of a picture; a volume takes `VOLUME_LINES` of them."""

VOLUME_LINES = 24

STEPS = (1, 2, 4, 8, 16, 32)
"""Distances at which samples along a line are compared."""

_HIGHEST = 99.9  # percentile: a few voxels of metal or flow would else darken all others


@dataclass(frozen=True)
class Samples:
    """An evenly spread part of an input, inside the region that counts.

    Args:
        values: ``(channels, samples)`` float32 over the full range: 0 to 255 of a picture are 0 to 1, of a volume the
            lowest value to the 99.9th percentile; none lies above 1.
        places: ``(axes, samples)`` float32, where in the region's box each lies: -1 and 1 are its ends.
        extent: Lengths of the region's box along each axis, in pixels or voxels.
        filled: Share of that box that is the region.
        differences: ``(axes, steps)``, mean absolute difference of values so many samples apart, of the middle channel
            and in the same range; NaN where an axis is too short.
        squares: The mean of its squares.
        colored: Whether its three channels are red, green and blue.
        case: What was sampled.
    """

    values: np.ndarray
    places: np.ndarray
    extent: tuple[int, ...]
    filled: float
    differences: np.ndarray
    squares: np.ndarray
    colored: bool
    case: Case

    @property
    def gray(self) -> np.ndarray:
        """``(samples,)``, the middle channel: of a color picture the green one."""
        return np.asarray(self.values[len(self.values) // 2])


def sampled(case: Case, region: np.ndarray | None) -> Samples | None:
    """Take samples of an input; None where the region holds none.

    Args:
        case: The input.
        region: ``(*spatial)`` bool, what counts; None takes all.
    """
    if region is not None and region.all():
        region = None
    wanted = SAMPLES if case.image.ndim == 3 else VOLUME_SAMPLES
    steps = [max(1, round(length / wanted)) for length in case.image.shape[1:]]
    evenly = tuple(slice(None, None, step) for step in steps)
    part = case.image[(slice(None), *evenly)]
    inside = np.ones(part.shape[1:], bool) if region is None else region[evenly]
    if not inside.any():
        return None
    values = part[:, inside].astype(np.float32)
    volume = case.image.ndim == 4
    low, span = _range(values, apart=case.shown is not None) if volume else (0.0, 255.0)
    values = np.minimum((values - low) / span, 1.0)
    differences, squares = _differences(case.image, region)
    middle = span if isinstance(span, float) else float(span[len(span) // 2, 0])
    ends = [np.flatnonzero(inside.any(axis=tuple(a for a in range(inside.ndim) if a != axis)))[[0, -1]]
            for axis in range(inside.ndim)]  # fmt: skip
    sizes = zip(ends, steps, case.image.shape[1:], strict=True)
    box = inside[tuple(slice(first, last + 1) for first, last in ends)]
    return Samples(
        values=values,
        places=np.stack([
            2 * (where - first) / max(last - first, 1) - 1
            for where, (first, last) in zip(np.nonzero(inside), ends, strict=True)
        ]).astype(np.float32),
        extent=tuple(min(int(last - first + 1) * step, length) for (first, last), step, length in sizes),
        filled=float(box.mean()),
        differences=differences / middle,
        squares=squares / middle**2,
        colored=values.shape[0] == 3 and not volume and case.shown is None,
        case=case,
    )  # fmt: skip


def _range(values: np.ndarray, apart: bool) -> tuple[np.ndarray | float, np.ndarray | float]:
    """The lowest of a volume's values and the span above it; of channels of their own each its own."""
    if not apart:
        low = float(values.min())
        return low, max(float(np.percentile(values, _HIGHEST)) - low, 1e-9)
    lows = values.min(axis=1, keepdims=True)
    return lows, np.maximum(np.percentile(values, _HIGHEST, axis=1, keepdims=True) - lows, 1e-9)


def _differences(image: np.ndarray, region: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """``(axes, steps)`` twice: mean absolute differences and mean squares; of a color picture in its green channel."""
    gray = image[image.shape[0] // 2]
    means = np.full((gray.ndim, len(STEPS)), np.nan)
    squares = means.copy()
    for axis, (line, inside) in enumerate(_lines(gray, region)):
        for number, step in enumerate(STEPS):
            if len(line) <= step:
                continue
            difference = np.abs(line[step:] - line[:-step])
            count = float(difference.size)
            if inside is not None:
                both = inside[step:] * inside[:-step]
                difference *= both
                count = float(both.sum())
            flat = difference.ravel()
            means[axis, number] = float(flat.sum()) / count if count else 0.0
            squares[axis, number] = float(flat @ flat) / count if count else 0.0
    return means, squares


def _lines(gray: np.ndarray, region: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """``(samples, lines)`` float32 along each axis; and where they lie inside the region, as 0 and 1."""
    flat = gray.ndim == 2
    own = max(1, round(max(gray.shape) / DETAIL_SIZE)) if flat else 1
    for axis in range(gray.ndim):
        across = [max(own, round(length / (LINES if flat else VOLUME_LINES))) for length in gray.shape]
        across[axis] = own
        part = tuple(slice(step // 2, None, step) for step in across)
        line = np.moveaxis(gray[part], axis, 0).astype(np.float32)
        inside = None if region is None else np.moveaxis(region[part], axis, 0).astype(np.float32)
        yield line, inside
