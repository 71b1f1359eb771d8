"""What tells a fundus photograph from other pictures, in a few numbers: its border, its colors and its vessels."""

import numpy as np
from scipy import ndimage

from gracile.transforms.field_of_view import Circle

EXTENT = 200
"""Pixels to which the field of view's extent is brought, about, by taking every so many-th."""

DARK = 0.1
"""Share of the median brightness below which nothing can be seen, and a pixel counts for nothing."""

LONG = 0.12
"""Share of the extent from which on a dark line is long."""

_STRONG = 88  # percentile of the response from which on a pixel lies on a line
_FAINT = 0.002  # of the same, scaled by the line's width: below it there is no line at all
_BACKGROUND, _LINE = 0.03, 0.006  # of the extent: deviation of the Gaussian of the background, and of a line
_MIXED = 5  # pixels across a filter that takes two from every border
_MARGIN = 0.02  # of the extent, at the border, where every picture has an edge


def kind_figures(image: np.ndarray, region: np.ndarray, circle: Circle | None) -> dict[str, float]:
    """Figures of a picture's kind, inside its field of view.

    - ``border``: part of the circle inside the frame that has a sharp border; 0 without a circle. ``roundness``:
      overlap of the field of view with the disc of its own extent; 1 where a circle was found.
    - ``red`` and ``blue``: logarithm of mean red over mean green, and of mean green over mean blue. ``order``: share of
      pixels in which red is the strongest and blue the weakest channel. ``color``: mean saturation.
    - ``contrast``: logarithm of the deviation of log green from its surround, as wide as a few vessels.
    - ``dark_lines``: logarithm of how much more there is of dark than of bright lines as wide as vessels.
      ``long_lines``: share of the strongest dark lines that hang together over more than `LONG`.

    Args:
        image: ``(3, height, width)`` uint8.
        region: ``(height, width)`` bool, not empty.
        circle: Of the field of view; None where it has none.

    Source of the lines: eigenvalues of the Hessian, as Frangi et al., MICCAI 1998, LNCS 1496, 130-137.
    """
    extent = extent_of(region, circle)
    step = max(1, round(extent / EXTENT))
    pixels, whole = averaged(image, step), sampled(region, step)
    inside = ndimage.minimum_filter(whole, _MIXED, mode="constant")  # at the border, blocks are mixed with the surround
    if not inside.any():
        pixels, whole, inside, step = image.astype(np.float32), region, region, 1
    figures = {
        "border": circle.sharp / max(circle.seen, 1e-6) if circle else 0.0,
        "roundness": 1.0 if circle else _roundness(whole),
    }
    brightest, weakest = pixels.max(axis=0), pixels.min(axis=0)
    inside = inside & (brightest >= DARK * np.median(brightest[inside]))
    red, green, blue = (np.log(float(channel[inside].mean()) + 4.0) for channel in pixels)
    ordered = (pixels[0] > pixels[1] - 2) & (pixels[1] >= pixels[2] - 4)
    figures |= {
        "red": float(red - green),
        "blue": float(green - blue),
        "order": float(ordered[inside].mean()),
        "color": float(((brightest - weakest) / (brightest + 8))[inside].mean()),
    }
    return figures | _lines(pixels[1], inside, extent / step)


def extent_of(region: np.ndarray, circle: Circle | None) -> float:
    """Pixels across a field of view that is not empty: of its circle, or the longer side of what is there."""
    if circle:
        return 2 * circle.radius
    return float(max(np.ptp(np.flatnonzero(region.any(axis=axis))) + 1 for axis in (0, 1)))


def averaged(image: np.ndarray, step: int) -> np.ndarray:
    """``(channels, height, width)`` float32: blocks of so many pixels, each by the mean of four of its."""
    if step == 1:
        return image.astype(np.float32)
    height, width = (length // step for length in image.shape[1:])
    total = np.zeros((len(image), height, width), dtype=np.float32)
    for row in (step // 4, (3 * step) // 4):
        for column in (step // 4, (3 * step) // 4):
            total += image[:, row::step, column::step][:, :height, :width]
    return total / 4


def sampled(region: np.ndarray, step: int) -> np.ndarray:
    """``(height, width)`` bool: the middles of the same blocks."""
    height, width = (length // step for length in region.shape)
    return region[step // 2 :: step, step // 2 :: step][:height, :width]


def _roundness(inside: np.ndarray) -> float:
    """Intersection over union of a field of view and the disc of its own extent, both inside the frame."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    radius = max(np.ptp(rows), np.ptp(columns)) / 2 + 0.5
    places = (np.arange(n) - some.mean() for n, some in zip(inside.shape, (rows, columns), strict=True))
    down, right = places
    disc = down[:, None] ** 2 + right[None] ** 2 <= radius**2
    return float((inside & disc).sum() / (inside | disc).sum())


def _lines(green: np.ndarray, inside: np.ndarray, extent: float) -> dict[str, float]:
    """Contrast and lines of the green channel, in which vessels are darkest."""
    weights = inside.astype(np.float32)
    logs = np.log(green + 8.0)
    around = ndimage.gaussian_filter(np.stack([logs * weights, weights]), (0, *[_BACKGROUND * extent] * 2))
    detail = (logs - around[0] / np.maximum(around[1], 1e-3)) * weights
    inner = ndimage.minimum_filter(inside, 2 * max(1, int(_MARGIN * extent)) + 1, mode="nearest")
    if not inner.any():
        inner = inside
    figures = {"contrast": float(np.log(detail[inner].std() + 1e-4))}
    deviation = max(0.8, _LINE * extent)
    down, slant, right = (ndimage.gaussian_filter(detail, deviation, order=order) for order in ((2, 0), (1, 1), (0, 2)))
    half = np.sqrt(((down - right) / 2) ** 2 + slant**2)
    largest, smallest = (down + right) / 2 + half, (down + right) / 2 - half
    dark = np.where(inner, np.maximum(largest - 2 * np.abs(smallest), 0), 0)
    bright = np.where(inner, np.maximum(-smallest - 2 * np.abs(largest), 0), 0)
    means = (float(lines[inner].mean()) * deviation**2 + 1e-5 for lines in (dark, bright))
    figures["dark_lines"] = float(np.log(next(means) / next(means)))
    strong = inner & (dark > max(float(np.percentile(dark[inner], _STRONG)), _FAINT / deviation**2))
    islands, number = ndimage.label(strong, structure=np.ones((3, 3)))
    lengths = [max(part.stop - part.start for part in box) for box in ndimage.find_objects(islands)]
    counts = np.bincount(islands.ravel())[1:]
    figures["long_lines"] = float(counts[np.array(lengths) > LONG * extent].sum() / counts.sum()) if number else 0.0
    return figures
