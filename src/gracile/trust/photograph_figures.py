"""What a fundus photograph shows of its own worth, in a few numbers: light, sharpness, noise, what covers it."""

import numpy as np
from scipy import ndimage

from gracile.transforms.field_of_view import circle_of
from gracile.transforms.fundus_figures import averaged, extent_of, kind_figures, sampled

EXTENT = 560
"""Pixels to which the field of view's extent is brought, about, by whole steps."""

BLACK, WHITE = 24.0, 245.0
"""Gray levels of the brightest channel below which, and of the middle one above which, nothing is to be seen."""

BLOT = 0.45
"""Difference in log green from an even light beyond which a place is covered, or bright as a reflex."""

PALE = 0.2
"""Saturation below which nothing is retina."""

CELLS = 8
"""Along each side of the field of view, in which vessels and detail are looked for."""

PLAIN = 0.4
"""Detail of a cell, as a share of that in cells with much, below which it shows nothing."""

_BLOCK = 8  # pixels of a JPEG's blocks
_PLANE = np.array([[1.0, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32) / 6
_LINES = 160  # along which blocks are looked for
_COARSE = 8  # working pixels to one of those at which light is looked at


def photograph_figures(image: np.ndarray, region: np.ndarray, mask: np.ndarray | None = None) -> dict[str, float]:
    """Figures of a fundus photograph, inside its field of view.

    - ``visible``: part of the camera's disc that is in the picture; ``border``, ``contrast``, ``dark_lines`` and
      ``long_lines``: see `gracile.transforms.fundus_figures.kind_figures`.
    - ``dark`` and ``burnt``: shares in which the brightest channel is below `BLACK`, or two channels are above `WHITE`.
      ``level``: logarithm of the median of the brightest channel. ``uneven``: logarithm of the 95th over the 5th
      percentile of the local brightness.
    - ``sharpness``: logarithm of the strongest fine over the strongest coarse slopes. ``motion``: logarithm of how much
      more fine slope there is across one direction than along it.
    - ``noise``: logarithm of the deviation of neighbors from the plane through those around them, over the brightness.
      ``blocks``: logarithm of the steps at every eighth pixel over the others'.
    - ``blots``: share that is far darker or brighter than an even light, with its gradients, would have it. ``pale``:
      share that has hardly any color. ``plain``: share of the cells with far less detail than others.
    - Where a mask is given: ``vessels``, their share; ``covered``, share of the cells with a vessel; ``together``,
      share of the vessels that hang together.

    Source of ``noise``: Immerkær, Computer Vision and Image Understanding 64 (1996) 300-302.

    Args:
        image: ``(3, height, width)`` uint8.
        region: ``(height, width)`` bool, not empty.
        mask: ``(height, width)`` class indices, above 0 where vessels were found.
    """
    circle = circle_of(image, region)
    kind = kind_figures(image, region, circle)
    figures = {name: kind[name] for name in ("border", "contrast", "dark_lines", "long_lines")}
    extent = extent_of(region, circle)
    figures["visible"] = min(1.0, float(region.sum()) / (np.pi * extent**2 / 4)) if circle else 1.0
    step = max(1, round(extent / EXTENT))
    small = averaged(image, step)
    inside = ndimage.minimum_filter(sampled(region, step), 3, mode="nearest")
    if not inside.any():
        return figures
    figures |= _light(small, inside)
    figures |= _detail(small[1], inside, extent / step)
    figures["blocks"] = _blocks(image[1], region)
    figures["blots"] = _blots(small, inside)
    return figures if mask is None else figures | _vessels(mask > 0, region, extent)


def _light(small: np.ndarray, inside: np.ndarray) -> dict[str, float]:
    small, inside = small[:, ::2, ::2], inside[::2, ::2]
    values = small[:, inside]
    most, least = values.max(axis=0), values.min(axis=0)
    middle = values.sum(axis=0) - most - least
    local = _smooth(small[:, ::2, ::2].max(axis=0), inside[::2, ::2], 4.0)[inside[::2, ::2]]
    low, high = np.percentile(local, (5, 95)) if local.size else (1.0, 1.0)
    return {
        "dark": float((most < BLACK).mean()),
        "burnt": float((middle > WHITE).mean()),
        "pale": float((most - least < PALE * (most + 8)).mean()),
        "level": float(np.log(np.median(most) + 1)),
        "uneven": float(np.log((high + 4) / (low + 4))),
    }


def _detail(green: np.ndarray, inside: np.ndarray, extent: float) -> dict[str, float]:
    """Slopes and noise of the green channel, where vessels are darkest, at every second pixel."""
    inner = ndimage.minimum_filter(inside, 2 * max(1, int(0.02 * extent)) + 1, mode="nearest")[::2, ::2]
    inner = inner if inner.any() else inside[::2, ::2]
    logs = np.log(green + 8.0)
    fine = [ndimage.gaussian_filter(logs, 1.0, order=order)[::2, ::2] for order in ((1, 0), (0, 1))]
    coarse = [ndimage.gaussian_filter(logs[::2, ::2], 1.75, order=order) / 2 for order in ((1, 0), (0, 1))]
    wide = np.hypot(*coarse)
    strongest = [float(np.percentile(slope[inner], 98)) + 1e-4 for slope in (np.hypot(*fine), wide)]
    down, right = (slope[inner] for slope in fine)
    across, along, slant = (
        float(one @ other) / len(down) for one, other in ((down, down), (right, right), (down, right))
    )
    half, middle = np.hypot((across - along) / 2, slant), (across + along) / 2 + 1e-9
    plane = np.abs(ndimage.convolve(green, _PLANE)[::2, ::2])[inner]
    sums, sizes = _by_cells(wide, inner, extent / 2)
    detail = sums[sizes > sizes.max() / 2] / sizes[sizes > sizes.max() / 2]
    return {
        "sharpness": float(np.log(strongest[0] / strongest[1])),
        "motion": float(np.log((middle + half) / max(middle - half, 1e-9))),
        "noise": float(np.log((np.sqrt(np.pi / 2) * plane.mean() + 0.1) / (green[::2, ::2][inner].mean() + 4))),
        "plain": float((detail < PLAIN * np.percentile(detail, 80)).mean()),
    }


def _by_cells(values: np.ndarray, inside: np.ndarray, extent: float) -> tuple[np.ndarray, np.ndarray]:
    """Sums of values inside, and numbers of pixels inside, in each square cell."""
    cell = max(1, round(extent / CELLS))
    rows, columns = (np.arange(length) // cell for length in inside.shape)
    number = (rows[:, None] * (columns[-1] + 1) + columns[None])[inside]
    return np.bincount(number, values[inside]), np.bincount(number)


def _blocks(green: np.ndarray, region: np.ndarray) -> float:
    """Logarithm of the mean step between pixels at the strongest of eight places over that at the others."""
    strongest = []
    for axis in (0, 1):
        every = max(1, green.shape[1 - axis] // _LINES)
        lines = np.moveaxis(green, axis, 0)[:, ::every].astype(np.float32)
        inside = np.moveaxis(region, axis, 0)[:, ::every]
        steps = np.abs(np.diff(lines, axis=0)) * (inside[1:] & inside[:-1])
        counts = (inside[1:] & inside[:-1]).sum(axis=1)
        sums = steps.sum(axis=1)
        means = [sums[place::_BLOCK].sum() / max(counts[place::_BLOCK].sum(), 1) for place in range(_BLOCK)]
        others = (sum(means) - max(means)) / (_BLOCK - 1)
        strongest.append(np.log((max(means) + 0.05) / (others + 0.05)))
    return float(np.mean(strongest))


def _blots(small: np.ndarray, inside: np.ndarray) -> float:
    """Share of the field of view that differs from a light whose logarithm is a surface of second order."""
    green, lit = small[1, ::_COARSE, ::_COARSE], inside[::_COARSE, ::_COARSE]
    if lit.sum() < 12:
        return 0.0
    logs = np.log(_smooth(green, lit, 1.0) + 8.0)[lit].astype(np.float64)
    rows, columns = (place / max(lit.shape) - 0.5 for place in np.nonzero(lit))
    surface = np.stack([np.ones_like(rows), rows, columns, rows**2, rows * columns, columns**2], axis=1)
    weights = np.ones_like(logs)
    for _ in range(4):  # what is covered does not say what the light is
        fit = surface @ np.linalg.lstsq(surface * weights[:, None], logs * weights, rcond=None)[0]
        weights = 1 / np.maximum(np.abs(logs - fit), 0.1)
        weights = np.sqrt(weights)
    return float((np.abs(logs - fit) > BLOT).mean())


def _smooth(values: np.ndarray, inside: np.ndarray, deviation: float) -> np.ndarray:
    """A Gaussian mean of what lies inside."""
    weights = inside.astype(np.float32)
    sums = [ndimage.gaussian_filter(part, deviation) for part in (values * weights, weights)]
    return sums[0] / np.maximum(sums[1], 1e-3)


def _vessels(vessels: np.ndarray, region: np.ndarray, extent: float) -> dict[str, float]:
    """How much of a field of view shows vessels, and how they hang together."""
    step = max(1, round(extent / EXTENT))
    own = vessels[::step, ::step] & region[::step, ::step]
    inside = region[::step, ::step]
    counts, sizes = _by_cells(own.astype(np.float32), inside, extent / step)
    whole = sizes > sizes.max() / 2
    islands, many = ndimage.label(own, structure=np.ones((3, 3)))
    largest = int(np.bincount(islands.ravel())[1:].max()) if many else 0
    return {
        "vessels": float(own.sum() / max(1, inside.sum())),
        "covered": float((counts[whole] > 0.01 * sizes[whole]).mean()),
        "together": largest / max(1, int(own.sum())),
    }
