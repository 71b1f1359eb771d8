"""The field of view of a fundus photograph, and the rule that tells such photographs from other pictures."""

import numpy as np
from scipy import ndimage

WORKING_SIZE = 400
"""Longer side in pixels at which the field of view is searched; its border is found to about two such pixels."""

ROUNDNESS = 0.88
"""Smallest overlap (intersection over union) of the field of view with its disc, both inside the frame."""


def find_field_of_view(image: np.ndarray) -> np.ndarray:
    """Find the lit disc of a fundus photograph.

    The image is brought to a small size, its brightest channel is split from the black surround by a threshold below
    Otsu's, and the largest lit island is filled.

    Args:
        image: ``(channels, height, width)`` uint8.

    Returns:
        ``(height, width)`` bool; all True when there is no dark surround.
    """
    height, width = image.shape[1:]
    step = max(1, round(max(height, width) / WORKING_SIZE))
    # From the middle of each block that a small pixel stands for, so that the answer is not shifted.
    small = ndimage.gaussian_filter(image[:, step // 2 :: step, step // 2 :: step].max(axis=0).astype(np.float32), 1.0)
    threshold = min(0.5 * _otsu(small), 0.25 * float(np.percentile(small, 95))) if np.ptp(small) else -1
    islands, number = ndimage.label(small > max(threshold, 6.0), structure=np.ones((3, 3)))
    if number == 0:
        return np.ones((height, width), dtype=bool)
    largest = np.bincount(islands.ravel())[1:].argmax() + 1
    lit = ndimage.binary_fill_holes(ndimage.binary_opening(islands == largest, iterations=2))
    rows, columns = (np.minimum(np.arange(n) // step, m - 1) for n, m in zip((height, width), lit.shape, strict=True))
    return lit[np.ix_(rows, columns)]


def _otsu(values: np.ndarray) -> float:
    """The threshold that parts values into the two groups that lie farthest apart, of 256 tried.

    Source: Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9 (1979) 62-66.
    """
    counts, edges = np.histogram(values, bins=256)
    middles = (edges[:-1] + edges[1:]) / 2
    below, weighed = np.cumsum(counts), np.cumsum(counts * middles)
    above = below[-1] - below[:-1]
    apart = (weighed[-1] - weighed[:-1]) / above - weighed[:-1] / below[:-1]
    return float(middles[np.argmax(below[:-1] * above * apart**2)])


def why_not_a_fundus(image: np.ndarray, region: np.ndarray) -> str:
    """Say why a picture is no color fundus photograph; empty when it looks like one.

    The rule: three channels that differ; a field of view that is round (its overlap with the disc of its own extent,
    clipped by the frame, is at least `ROUNDNESS`); and red the strongest, blue the weakest channel inside it.

    Args:
        image: ``(channels, height, width)`` uint8.
        region: ``(height, width)`` bool, the field of view.
    """
    step = max(1, max(region.shape) // WORKING_SIZE)
    pixels = image[:, ::step, ::step].astype(np.float32)
    inside = region[::step, ::step]
    if not inside.any():
        return "no field of view was found in it"
    if image.shape[0] != 3 or np.abs(pixels - pixels.mean(axis=0)).mean() < 2.0:
        return "it is gray, and the recipe needs a color photograph"
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    radius = max(np.ptp(rows), np.ptp(columns)) / 2 + 0.5
    grid_rows, grid_columns = np.indices(inside.shape)
    disc = np.hypot(grid_rows - rows.mean(), grid_columns - columns.mean()) <= radius
    overlap = float((inside & disc).sum() / (inside | disc).sum())
    if overlap < ROUNDNESS:
        return f"its lit part is not a disc (overlap {overlap:.2f}, at least {ROUNDNESS} is needed)"
    red, green, blue = (float(channel[inside].mean()) for channel in pixels)
    if not (red > green and red > 1.15 * blue):
        return f"its colors are not those of a retina (mean red {red:.0f}, green {green:.0f}, blue {blue:.0f})"
    return ""
