"""The field of view of a fundus photograph: its circle, fitted to the part of its border that is there."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

WORKING_SIZE = 400
"""Longer side in pixels at which the field of view is searched; its circle is found to about one such pixel."""

RAYS = 128
"""Directions in which the border of what is lit is looked for."""

ARCS = ((9, 9), (14, 14), (21, 21), (32, 32), (43, 42), (21, 43))
"""Rays from the first to the second, and from there to the third, of three border points that a circle goes through."""

SMALLEST, LARGEST = 0.1, 2.0
"""Radius of a field of view, in longer sides of the picture."""

ACROSS = 3
"""Working pixels to each side of a border between which its contrast is taken."""

SHARP = 0.4
"""Contrast (Michelson) from which on a border is the camera's; light that fades on the retina stays far below."""

NOISE = 4.0
"""Gray levels that are added to both sides of a contrast, so that noise in the black is none."""

FAR = 2.5
"""Distance in working pixels from which on a point of the border says nothing of the circle."""

ROUNDS = 8
"""Steps of the fit, each with weights from the distances that the last one left."""

FEWEST = 0.12
"""Least part of a whole turn over which a sharp border must lie on a circle for it to be believed."""

STRAY = 0.03
"""Largest part of what is lit that may lie outside of a circle that is believed."""

AROUND = 180
"""Directions in which a circle is looked at."""

CUT = 0.04
"""Part of a whole turn from which on a sharp border before the circle is no marker, but where the picture was cut."""

BELOW_TIE = 0.487
"""Added before a circle is rounded down to half pixels, so that drawings with even numbers lie on no tie."""


@dataclass(frozen=True)
class Circle:
    """The circle of a field of view.

    Args:
        row: Of its center in pixels, to the half.
        column: Likewise.
        radius: In pixels, to the half.
        seen: Part of a whole turn of it that lies inside the frame.
        sharp: Part of a whole turn over which a sharp border lies on it.
        cut: Part of a whole turn over which the picture ends in a sharp border before it.
        residual: Root mean square distance of its border points from it, in working pixels.
    """

    row: float
    column: float
    radius: float
    seen: float
    sharp: float
    cut: float
    residual: float


@dataclass(frozen=True)
class FieldOfView:
    """What was found of a field of view.

    Args:
        region: ``(height, width)`` bool.
        circle: None where no circle has a border that can be believed.
    """

    region: np.ndarray
    circle: Circle | None


@dataclass(frozen=True)
class _Fitted:
    """A circle in working pixels, with the root mean square distance of its points."""

    center: np.ndarray
    radius: float
    residual: float


def find_field_of_view(image: np.ndarray) -> np.ndarray:
    """Find what a fundus camera shows, see `look_for_field_of_view`.

    Args:
        image: ``(channels, height, width)`` uint8.

    Returns:
        ``(height, width)`` bool; all True when there is no dark surround.
    """
    return look_for_field_of_view(image).region


def look_for_field_of_view(image: np.ndarray) -> FieldOfView:
    """Find the field of view of a fundus photograph by its circle.

    The picture is brought to a small size, where its brightest channel is split from the black surround by a threshold
    below Otsu's. On rays from the middle of the largest lit island lie points of its border. Those at the frame, and
    those where light fades as in a shadow, say nothing of the camera's border. Of the circles through three others the
    one that most points lie on is fitted to them; it is believed if a sharp border lies on enough of it. The field of
    view is its disc inside the frame, less the directions in which the picture ends in a sharp border before the
    circle. Without such a circle it is the lit island itself.

    Source: consensus of small samples: Fischler and Bolles, Communications of the ACM 24 (1981) 381-395, with samples
    that are fixed; fit: Gauss-Newton steps with the weights of Beaton and Tukey, Technometrics 16 (1974) 147-185.

    Args:
        image: ``(channels, height, width)`` uint8.
    """
    height, width = image.shape[1:]
    step = max(1, round(max(height, width) / WORKING_SIZE))
    small = _small(image, step)
    lit = _lit(small)
    if not lit.any():
        return FieldOfView(np.ones((height, width), dtype=bool), None)
    fitted = _fitted(small, lit)
    sharp, seen = _border(small, fitted) if fitted is not None else (0.0, 0.0)
    if fitted is None or sharp < FEWEST or _stray(lit, fitted) > STRAY:
        return FieldOfView(_enlarged(ndimage.binary_fill_holes(lit), step, (height, width)), None)
    cut = _cut(small, lit, fitted)
    circle = _full(fitted, step)
    region = _disc(circle, (height, width))
    share = float(cut.mean())
    if share > CUT:
        region &= _enlarged(lit | ~cut[_sectors(lit.shape, fitted.center)], step, (height, width))
    return FieldOfView(region, Circle(*circle, seen, sharp, share, fitted.residual))


def circle_of(image: np.ndarray, region: np.ndarray) -> Circle | None:
    """The circle of a field of view that is known, None where it is none or has no sharp border in the picture.

    Args:
        image: ``(channels, height, width)`` uint8.
        region: ``(height, width)`` bool.
    """
    step = max(1, round(max(region.shape) / WORKING_SIZE))
    small, lit = _small(image, step), region[step // 2 :: step, step // 2 :: step]
    fitted = _fitted(255.0 * lit, lit) if lit.any() else None
    sharp, seen = _border(small, fitted) if fitted is not None else (0.0, 0.0)
    if fitted is None or sharp < FEWEST or _stray(lit, fitted) > STRAY:
        return None
    row, column, radius = _full(fitted, step)
    return Circle(row, column, radius, seen, sharp, float(_cut(small, lit, fitted).mean()), fitted.residual)


def _small(image: np.ndarray, step: int) -> np.ndarray:
    """The brightest channel at the working size, a little smoothed."""
    # From the middle of each block that a small pixel stands for, so that the answer is not shifted.
    brightest = image[:, step // 2 :: step, step // 2 :: step].max(axis=0)
    return ndimage.gaussian_filter(brightest.astype(np.float32), 1.0)


def _lit(small: np.ndarray) -> np.ndarray:
    """``(height, width)`` bool, the largest island that is brighter than the surround, opened."""
    threshold = min(0.5 * _otsu(small), 0.25 * float(np.percentile(small, 95))) if np.ptp(small) else -1
    islands, number = ndimage.label(small > max(threshold, 6.0), structure=np.ones((3, 3)))
    if number == 0:
        return np.zeros(small.shape, dtype=bool)
    largest = np.bincount(islands.ravel())[1:].argmax() + 1
    return ndimage.binary_opening(islands == largest, iterations=2)


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


@cache
def directions(number: int) -> np.ndarray:
    """``(2, number)`` float32: unit vectors all around, as rows and columns."""
    angles = np.arange(number) * (2 * np.pi / number)
    return np.stack([np.sin(angles), np.cos(angles)]).astype(np.float32)


def _outermost(lit: np.ndarray, center: np.ndarray, number: int) -> np.ndarray:
    """``(number,)`` steps from a center, a whole pixel, to the last lit pixel of each ray; -1 where there is none."""
    shape = np.array(lit.shape)[:, None, None]
    steps = np.arange(sum(lit.shape), dtype=np.float32)
    steps = steps[: int(np.ceil(np.hypot(*lit.shape)))]
    places = np.rint(directions(number)[:, :, None] * steps).astype(np.int64) + center[:, None, None]
    inside = ((places >= 0) & (places < shape)).all(axis=0)
    rows, columns = np.clip(places, 0, shape - 1)
    return np.where(inside & lit[rows, columns], steps, -1).max(axis=1)


def _contrast(small: np.ndarray, center: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much brighter it is before a distance on each ray than behind it, -1 to 1; and whether both are inside."""
    bounds = np.array(small.shape)[:, None] - 1
    inside = np.ones(len(distances), dtype=bool)
    sides = []
    for across in (-ACROSS, ACROSS):
        places = np.rint(directions(len(distances)) * (distances + across) + center[:, None]).astype(np.int64)
        inside &= ((places >= 0) & (places <= bounds)).all(axis=0)
        sides.append(small[tuple(np.clip(places, 0, bounds))])
    before, behind = sides
    return (before - behind) / (before + behind + 2 * NOISE), inside


def _fitted(small: np.ndarray, lit: np.ndarray) -> _Fitted | None:
    """The circle of the border of what is lit; None where no three points of it lie on one."""
    counts = [lit.sum(axis=axis) for axis in (1, 0)]
    center = np.array([int(count @ np.arange(len(count))) // int(count.sum()) for count in counts])
    border = _outermost(lit, center, RAYS)
    contrast, inside = _contrast(small, center, border + 0.5)
    sure = np.where(inside & (border > 0), np.clip(2 * contrast / SHARP - 1, 0, 1), 0.0)
    points = directions(RAYS) * (border + 0.5)
    circle = _agreed(points, sure, max(small.shape))
    if circle is None:
        return None
    for _ in range(ROUNDS):
        away = points - circle[:2, None]
        distances = np.maximum(np.hypot(*away), 1e-3)
        beyond = distances - circle[2]
        weights = sure * np.maximum(1 - (beyond / FAR) ** 2, 0) ** 2
        slopes = np.stack([*(away / distances), np.ones(RAYS)])
        normal = (slopes * weights) @ slopes.T + 1e-6 * np.eye(3)
        circle = circle + np.linalg.solve(normal, (slopes * weights) @ beyond)
    residual = float(np.sqrt((weights * beyond**2).sum() / max(weights.sum(), 1e-6)))
    return _Fitted(center + circle[:2], float(circle[2]), residual)


def _agreed(points: np.ndarray, sure: np.ndarray, longer: int) -> np.ndarray | None:
    """Row, column and radius of that circle through three of ``(2, rays)`` points that most of them lie on."""
    one, two, three = (points[:, place] for place in threes())
    (a, b), (c, d) = two - one, three - one
    twice = 2 * (a * d - b * c)
    bent = np.abs(twice) > 1.0
    safe = np.where(bent, twice, 1.0)
    first, second = a**2 + b**2, c**2 + d**2
    centers = np.stack([(d * first - b * second) / safe, (a * second - c * first) / safe])
    radii = np.hypot(*centers)
    centers = centers + one
    beyond = np.hypot(*(points[:, None] - centers[:, :, None])) - radii[:, None]
    usable = bent & (sure[threes()].min(axis=0) > 0) & (radii > SMALLEST * longer) & (radii < LARGEST * longer)
    votes = (sure * np.maximum(1 - np.abs(beyond) / FAR, 0)).sum(axis=1) * usable
    best = int(votes.argmax())
    return np.array([*centers[:, best], radii[best]]) if votes[best] > 0 else None


@cache
def threes() -> np.ndarray:
    """``(3, samples)`` rays of the three points of each sample."""
    rays = np.arange(RAYS)
    return np.concatenate([np.stack([rays, rays + one, rays + one + other]) for one, other in ARCS], axis=1) % RAYS


def _border(small: np.ndarray, fitted: _Fitted) -> tuple[float, float]:
    """Parts of a whole turn: over which a sharp border lies on a circle, and which lies inside the frame."""
    contrast, inside = _contrast(small, fitted.center, np.full(AROUND, fitted.radius))
    return float((inside & (contrast > SHARP)).mean()), float(inside.mean())


def _stray(lit: np.ndarray, fitted: _Fitted) -> float:
    """Part of what is lit that lies outside of a circle."""
    rows, columns = (np.arange(length) - place for length, place in zip(lit.shape, fitted.center, strict=True))
    beyond = rows[:, None] ** 2 + columns[None] ** 2 > (fitted.radius + ACROSS) ** 2
    return float((lit & beyond).sum() / lit.sum())


def _cut(small: np.ndarray, lit: np.ndarray, fitted: _Fitted) -> np.ndarray:
    """``(AROUND,)`` bool, whether the picture ends in a sharp border before the circle in each direction."""
    border = _outermost(lit, np.rint(fitted.center).astype(np.int64), AROUND)
    contrast, inside = _contrast(small, fitted.center, border + 0.5)
    return inside & (border > 0) & (border < fitted.radius - ACROSS - 1) & (contrast > SHARP)


def _sectors(shape: tuple[int, int], center: np.ndarray) -> np.ndarray:
    """``(height, width)`` number of the direction that each pixel lies in, seen from a center."""
    rows, columns = (np.arange(length) - place for length, place in zip(shape, center, strict=True))
    turns = np.arctan2(rows[:, None], columns[None]) * (AROUND / (2 * np.pi))
    return np.rint(turns).astype(np.int64) % AROUND


def _full(fitted: _Fitted, step: int) -> tuple[float, float, float]:
    """Row, column and radius of a circle at the picture's size, to half pixels."""
    middle = step // 2  # of the block that a working pixel stands for
    row, column = (np.floor(2 * (step * place + middle) + BELOW_TIE) for place in fitted.center)
    return float(row) / 2, float(column) / 2, float(np.floor(2 * step * fitted.radius + BELOW_TIE)) / 2


def _disc(circle: tuple[float, float, float], shape: tuple[int, int]) -> np.ndarray:
    """``(height, width)`` bool, the disc of a circle."""
    row, column, radius = (2 * value for value in circle)  # whole numbers
    deep = np.abs(2 * np.arange(shape[0]) - row)
    wide = np.where(deep <= radius, np.floor(np.sqrt(np.maximum(radius**2 - deep**2, 0))), -1).astype(np.int32)
    away = np.abs(2 * np.arange(shape[1]) - column).astype(np.int32)
    return away[None] <= wide[:, None]


def _enlarged(mask: np.ndarray, step: int, shape: tuple[int, int]) -> np.ndarray:
    """A mask of the working size at the picture's own."""
    rows, columns = (np.minimum(np.arange(n) // step, m - 1) for n, m in zip(shape, mask.shape, strict=True))
    return mask[np.ix_(rows, columns)]
