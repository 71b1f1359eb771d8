"""The scan inside an ultrasound machine's picture, its skin line, and the rule that tells it from color pictures."""

from collections.abc import Callable
from functools import reduce

import numpy as np
from scipy import ndimage

WORKING_SIZE = 400
"""Longer side in pixels at which the scan is searched; its border is found to about two such pixels."""

SMALLEST_SCAN = 0.05
"""Share of the picture below which a lit area is no scan, but a mark or a logo."""

SATURATION = 24.0
"""Mean difference of the strongest and the weakest channel (of 255) above which a picture counts as colored.

Gray pictures with the bluish or brown tint of some machines stay below 15, photographs lie far above.
"""

FLAT = 0.005
"""Share of a picture's pixels that equal their neighbors below which it has no surround."""

BRIGHTER = 12
"""Gray levels above the surround at which echoes are beyond doubt."""

FRAME = 0.02
"""A border nearer to the frame than this share of the longer side is the frame."""

STRAIGHT = 0.92
"""Share of its box, or of the top of its box, that a rectangular scan fills at least."""

TOP = 0.06
"""The top, as a share of the height."""

_LIT = 0.1  # share of the strong echoes of a scan below which a row is black
_LASTING = 0.7  # share of the rows below that are lit where echoes begin


def find_scan(image: np.ndarray) -> np.ndarray:
    """Find the scan in a machine's screen picture, apart from the texts, rulers and panels around it.

    The surround is the most frequent value at the frame among pixels that equal their neighbors; panels are bright and
    flat too. Of what differs from it, thin things (letters, rulers, the gray bar) are opened away, and the largest lit
    area is the scan: its box where it is a rectangle, its convex hull where it is a sector, which is narrower at its
    top. Dark parts of the scan belong to it.

    Args:
        image: ``(channels, height, width)`` uint8.

    Returns:
        ``(height, width)`` bool; all True when there is no surround or nothing that looks like a scan.
    """
    height, width = image.shape[1:]
    step = max(1, round(max(height, width) / WORKING_SIZE))
    small = reduce(np.maximum, image[:, step // 2 :: step, step // 2 :: step])
    flat = _flat(small)
    whole = np.ones((height, width), dtype=bool)
    if flat.mean() < FLAT:
        return whole
    surround = _surround(small, flat)
    scan = _largest_lit(small, flat, surround)
    if scan.mean() < SMALLEST_SCAN:
        return whole
    shape = _outlined(scan)
    rows, columns = (np.minimum(np.arange(n) // step, m - 1) for n, m in zip((height, width), shape.shape, strict=True))
    return shape[np.ix_(rows, columns)]


def find_skin_line(image: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Find the row at which each column of a scan begins to echo, below the black rows above the skin.

    In each column it is the first lit row from which on the next ones (2 % of the scan's height) are lit for the most
    part, so that a thin line of the probe over black gel does not count. Columns that stand off from their neighborhood
    (an eighth of the width) take its median; columns without echo near the top are filled in between others.

    Args:
        image: ``(channels, height, width)`` uint8.
        region: ``(height, width)`` bool, the scan.

    Returns:
        ``(width,)`` float rows; NaN in columns outside the scan, everywhere when there is no echo.
    """
    line = np.full(region.shape[1], np.nan)
    columns = np.flatnonzero(region.any(axis=0))
    if not columns.size:
        return line
    rows = np.flatnonzero(region.any(axis=1))
    top, height = int(rows[0]), int(rows[-1] - rows[0] + 1)
    reach = max(8, height // 2)
    block = slice(top, min(top + reach, region.shape[0])), slice(int(columns[0]), int(columns[-1]) + 1)
    gray = image[(slice(None), *block)].max(axis=0).astype(np.float32)
    gray[~region[block]] = 0
    first = _first_lit(gray, max(4, round(0.02 * height)))
    if np.isnan(first).all():
        return line
    line[block[1]] = _smoothed(first, max(2, height // 120)) + top
    line[~region.any(axis=0)] = np.nan
    return line


def why_not_ultrasound(image: np.ndarray, region: np.ndarray) -> str:
    """Say why a picture is no gray ultrasound image; empty when it may be one.

    The rule: within the scan the strongest and the weakest channel differ by at most `SATURATION` on average. A color
    Doppler box of moderate size passes.

    Args:
        image: ``(channels, height, width)`` uint8.
        region: ``(height, width)`` bool, the scan.
    """
    if image.shape[0] == 1 or not region.any():
        return ""
    step = max(1, max(region.shape) // WORKING_SIZE)
    small, inside = image[:, ::step, ::step], region[::step, ::step]
    spread = float((reduce(np.maximum, small) - reduce(np.minimum, small))[inside].mean()) if inside.any() else 0.0
    return f"it has colors (mean saturation {spread:.0f} of 255)" if spread > SATURATION else ""


def _flat(small: np.ndarray) -> np.ndarray:
    """Pixels whose 3 x 3 neighborhood is all of one value."""
    return np.asarray(_squared(np.maximum, small, 1) == _squared(np.minimum, small, 1))


def _squared(pick: Callable[..., np.ndarray], values: np.ndarray, radius: int) -> np.ndarray:
    """The largest or the smallest value of the square about each pixel; the border goes on outside as it is.

    What scipy's filters of maxima and minima give, for these small pictures in a fraction of their time.
    """
    for axis in (0, 1):
        first, last = values.take([0], axis), values.take([-1], axis)
        longer = np.concatenate([first] * radius + [values] + [last] * radius, axis)
        length = values.shape[axis]
        parts = [longer[shift : shift + length] if axis == 0 else longer[:, shift : shift + length]
                 for shift in range(2 * radius + 1)]  # fmt: skip
        values = reduce(pick, parts)
    return values


def _surround(small: np.ndarray, flat: np.ndarray) -> int:
    """The most frequent flat value at the frame, or anywhere where the frame has none."""
    frame = np.zeros_like(flat)
    frame[:2], frame[-2:], frame[:, :2], frame[:, -2:] = True, True, True, True
    values = small[flat & frame]
    return int(np.bincount(values if values.size else small[flat]).argmax())


def _largest_lit(small: np.ndarray, flat: np.ndarray, surround: int) -> np.ndarray:
    """The largest area of echoes with the dim parts around it, holes closed."""
    difference = np.abs(small.astype(np.int16) - surround)
    panel = flat & (difference > 2)
    strong = _opened((difference > BRIGHTER) & ~panel, 1)
    core = _largest(ndimage.binary_closing(np.pad(strong, 6), iterations=5)[6:-6, 6:-6])
    dim = ((difference > 0) & ~panel) | core
    if surround > BRIGHTER:  # some echoes equal a gray surround
        dim = _squared(np.minimum, _squared(np.maximum, dim, 1), 1)
    dim = _opened(dim, 3)
    labels, count = ndimage.label(dim)
    if not count:
        return core
    meeting = np.bincount(labels[core & (labels > 0)].ravel(), minlength=count + 1)
    return np.asarray(labels == meeting.argmax()) if meeting.any() else core


def _opened(mask: np.ndarray, radius: int) -> np.ndarray:
    """Without what is thinner than ``2 radius + 1``; the outside counts as lit, so that the frame wears nothing off."""
    return _squared(np.maximum, _squared(np.minimum, mask, radius), radius)


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    return np.asarray(labels == np.bincount(labels.ravel())[1:].argmax() + 1)


def _outlined(scan: np.ndarray) -> np.ndarray:
    """The scan's box where it fills it, else its convex hull; borders near the frame are the frame."""
    columns = np.flatnonzero(scan.any(axis=0))
    tops, bottoms = scan.argmax(axis=0)[columns], scan.shape[0] - 1 - scan[::-1].argmax(axis=0)[columns]
    rows = np.arange(scan.shape[0])[:, None]
    hull = np.zeros_like(scan)
    hull[:, columns] = (rows >= _hull(columns, tops)) & (rows <= -_hull(columns, -bottoms))
    box = _box(hull)
    inside = hull[box]
    top = inside[: max(1, round(TOP * len(inside)))]
    if inside.mean() >= STRAIGHT or top.any(axis=0).mean() >= STRAIGHT:  # shadows eat the deep corners
        hull[box] = True
    return hull


def _hull(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Row at each column of the tightest line above the points that is nowhere bent inward (their convex hull)."""
    chain: list[int] = []
    for index in range(len(columns)):
        while len(chain) > 1:
            a, b = chain[-2], chain[-1]
            rise = (rows[b] - rows[a]) * (columns[index] - columns[a])
            if rise < (rows[index] - rows[a]) * (columns[b] - columns[a]):
                break
            chain.pop()
        chain.append(index)
    return np.interp(columns, columns[chain], rows[chain])


def _box(mask: np.ndarray) -> tuple[slice, slice]:
    near = FRAME * max(mask.shape)
    ends = []
    for axis, length in ((1, mask.shape[0]), (0, mask.shape[1])):
        found = np.flatnonzero(mask.any(axis=axis))
        first, last = int(found[0]), int(found[-1]) + 1
        ends.append(slice(0 if first <= near else first, length if last >= length - near else last))
    return ends[0], ends[1]


def _first_lit(gray: np.ndarray, window: int) -> np.ndarray:
    """Row of each column at which it begins to echo; NaN where it does not."""
    echo = float(np.percentile(gray[gray > 0], 75)) if (gray > 0).any() else 0.0
    threshold = max(6.0, _LIT * echo)
    lit = ndimage.uniform_filter1d(gray, 9, axis=1) > threshold
    ahead = ndimage.uniform_filter1d(lit.astype(np.float32), window, axis=0, origin=-(window // 2), mode="nearest")
    lasting = lit & (ahead > _LASTING)
    return np.where(lasting.any(axis=0), lasting.argmax(axis=0), np.nan)


def _smoothed(first: np.ndarray, tolerance: int) -> np.ndarray:
    known = np.flatnonzero(~np.isnan(first))
    filled = np.interp(np.arange(first.size), known, first[known])
    width = max(3, first.size // 8) | 1
    middle = ndimage.median_filter(filled, width, mode="reflect")
    outliers = np.abs(filled - middle) > tolerance
    return ndimage.median_filter(np.where(outliers, middle, filled), 5, mode="reflect")
