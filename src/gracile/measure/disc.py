"""The optic disc of a fundus photograph: given by the user, or found as the bright round place where vessels meet."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import fft, ndimage
from skimage import morphology, transform

_WORK_DIAMETER = 300.0
_DIAMETER_PRIOR = 1 / 6.4
_DIAMETER_RANGE = (1 / 9, 1 / 3.6)
_CLEAR_STEP = 1.6
# A picture centered on the disc often has a field of 30 degrees, where the disc takes 0.2 of it or more and a smaller
# circle is the pale cup: the detector cannot tell, so it does not trust itself there.
_CENTERED = 0.22
_LARGE = 0.19
CONFIDENT = 0.5


@dataclass(frozen=True)
class Disc:
    """Where the optic disc lies.

    Args:
        row: Row of its center, in pixels of the picture.
        column: Column of its center, in pixels of the picture.
        diameter: Its diameter in pixels.
        source: ``given`` by the user or ``detected``.
        confidence: From 0 to 1, how much the detector trusts itself; a rule of thumb, no probability.
    """

    row: float
    column: float
    diameter: float
    source: Literal["given", "detected"] = "given"
    confidence: float = 1.0


def find_disc(image: np.ndarray, region: np.ndarray, vessels: np.ndarray | None = None) -> Disc | None:
    """Find the optic disc.

    At a field of view of 300 pixels two maps are made: how much brighter a disc-sized circle is than its
    surroundings, and, given vessels, how many of them point to a place. Their best common place is the disc;
    its rim is then fitted as the circle with the steepest step from light to dark. Meant for fields of view of
    about 45 degrees with the disc wholly in the picture.

    Args:
        image: ``(3, height, width)`` uint8, red first.
        region: ``(height, width)`` bool, the field of view.
        vessels: ``(height, width)`` bool mask of all vessels, or None.

    Returns:
        The disc; None where there is no picture to look at.

    Source: the convergence of vessels follows Hoover and Goldbaum, IEEE Transactions on Medical Imaging 22
    (2003) 951-958.
    """
    boxes = ndimage.find_objects(np.asarray(region, dtype=np.uint8))
    if not boxes or region.sum() < 1000 or image.shape[0] != 3:
        return None
    rows, columns = boxes[0]
    factor = _WORK_DIAMETER / max(rows.stop - rows.start, columns.stop - columns.start)
    shape = (max(8, round((rows.stop - rows.start) * factor)), max(8, round((columns.stop - columns.start) * factor)))
    small = np.stack([_shrink(band[boxes[0]], shape) for band in image])
    inside = _shrink(region[boxes[0]], shape) > 0.5
    bright = _brightness(small, inside)
    score = _circle_contrast(bright, inside)
    agreement = 1.0
    if vessels is not None and np.any(vessels & region):
        meeting = _convergence(_shrink((vessels & region)[boxes[0]], shape), inside)
        agreement = 0.3
        score = score * (0.15 + meeting)
    row, column = np.unravel_index(int(np.argmax(score)), score.shape)
    if score[row, column] <= 0:
        return None
    if agreement < 1:
        agreement = float(meeting[row, column])
    center_row, center_column, diameter, clear = _fit_rim(bright, inside, int(row), int(column))
    confidence = clear * _confidence(score, int(row), int(column), agreement)
    off_middle = np.hypot(center_row - shape[0] / 2, center_column - shape[1] / 2) / _WORK_DIAMETER
    if off_middle < _CENTERED and diameter / _WORK_DIAMETER < _LARGE:
        confidence *= 0.4
    return Disc(
        row=(center_row + 0.5) / factor - 0.5 + rows.start,
        column=(center_column + 0.5) / factor - 0.5 + columns.start,
        diameter=diameter / factor,
        source="detected",
        confidence=confidence,
    )


def _shrink(band: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A band as float32 in 0..1 at another size, averaged over whole pixels first where it gets much smaller."""
    band = band.astype(np.float32) / (255.0 if band.dtype == np.uint8 else 1.0)
    block = max(1, min(band.shape[0] // shape[0], band.shape[1] // shape[1]))
    if block > 1:
        band = transform.downscale_local_mean(band, (block, block)).astype(np.float32)
    return transform.resize(band, shape, order=1, anti_aliasing=True).astype(np.float32)


def _blur(values: np.ndarray, inside: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian mean of the values inside a region only."""
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma)
    return ndimage.gaussian_filter(np.where(inside, values, 0), sigma) / np.maximum(weight, 1e-3)


def _brightness(small: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Red and green without vessels and without uneven light, in standard deviations."""
    out = np.zeros(inside.shape, dtype=np.float32)
    for band, share in ((0, 0.4), (1, 0.6)):
        filled = np.where(inside, small[band], _blur(small[band], inside, 12))
        closed = morphology.closing(filled, morphology.disk(4))
        flat = closed - _blur(closed, inside, 45)
        out += share * flat / max(float(flat[inside].std()), 1e-4)
    return np.where(inside, np.clip(out, -3, 6), 0).astype(np.float32)


def _circle_contrast(bright: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """``(height, width)`` how much brighter the circle around each pixel is than the ring around it, 0 to about 1."""
    best = np.zeros(bright.shape, dtype=np.float32)
    for diameter in (_WORK_DIAMETER / 8, _WORK_DIAMETER / 6.7, _WORK_DIAMETER / 5.5):
        reach = int(np.ceil(0.85 * diameter))
        rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        distance = np.hypot(rows, columns)
        means = []
        for part in (distance <= 0.5 * diameter, (distance > 0.55 * diameter) & (distance <= 0.85 * diameter)):
            kernel = part.astype(np.float32)
            total = _summed(bright, kernel)
            number = _summed(inside.astype(np.float32), kernel)
            means.append((total / np.maximum(number, 1), number / kernel.sum()))
        (middle, filled), (ring, around) = means
        contrast = np.where((filled > 0.8) & (around > 0.4), middle - ring, 0)
        best = np.maximum(best, np.maximum(contrast, 0))
    best[~inside] = 0
    return (best / max(float(best.max()), 1e-6)).astype(np.float32)


def _summed(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Sum under a symmetric kernel of odd sides about each pixel; what lies outside of the image is 0."""
    sizes = [a + b - 1 for a, b in zip(image.shape, kernel.shape, strict=True)]
    fast = [fft.next_fast_len(size, real=True) for size in sizes]
    whole = fft.irfft2(fft.rfft2(image, fast) * fft.rfft2(kernel, fast), fast)
    top, left = (side // 2 for side in kernel.shape)
    return whole[top : top + image.shape[0], left : left + image.shape[1]]


def _convergence(vessels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """``(height, width)`` 0 to 1, how many vessels point to each place, thick ones counting more."""
    soft = ndimage.gaussian_filter(vessels, 1.5)
    row_slope, column_slope = ndimage.sobel(soft, axis=0), ndimage.sobel(soft, axis=1)
    rr, cc, rc = (ndimage.gaussian_filter(a, 2) for a in (row_slope**2, column_slope**2, row_slope * column_slope))
    angle = 0.5 * np.arctan2(2 * rc, cc - rr) + np.pi / 2
    wide = ndimage.gaussian_filter(vessels, 2.5)
    rows, columns = np.nonzero(vessels > 0.4)
    across = angle[rows, columns]
    votes: np.ndarray = np.zeros_like(vessels, dtype=np.float64)
    reach = np.arange(-70, 71, 2.0)
    to_rows = np.rint(rows[:, None] + np.sin(across)[:, None] * reach).astype(int)
    to_columns = np.rint(columns[:, None] + np.cos(across)[:, None] * reach).astype(int)
    weight = np.broadcast_to((wide[rows, columns] ** 2)[:, None], to_rows.shape)
    keep = (to_rows >= 0) & (to_rows < votes.shape[0]) & (to_columns >= 0) & (to_columns < votes.shape[1])
    np.add.at(votes, (to_rows[keep], to_columns[keep]), weight[keep])
    votes = ndimage.gaussian_filter(votes, 9)
    votes[~inside] = 0
    return (votes / max(float(votes.max()), 1e-9)).astype(np.float32)


def _confidence(score: np.ndarray, row: int, column: int, agreement: float) -> float:
    """0 to 1: how far the best place stands above the next one elsewhere, and whether vessels meet there."""
    rows, columns = np.mgrid[: score.shape[0], : score.shape[1]]
    elsewhere = np.hypot(rows - row, columns - column) > 0.2 * _WORK_DIAMETER
    rival = float(score[elsewhere].max(initial=0)) / float(score[row, column])
    return float(np.clip(1.5 * (1 - rival), 0, 1) * np.clip(2 * agreement, 0, 1))


def _fit_rim(bright: np.ndarray, inside: np.ndarray, row: int, column: int) -> tuple[float, float, float, float]:
    """Center and diameter of the circle with the steadiest step from light to dark, near a first guess; and how
    clear that step is, 0 to 1."""
    smooth = _blur(bright, inside, 2)
    angles = np.arange(0, 2 * np.pi, np.pi / 24)
    diameters = np.arange(_DIAMETER_RANGE[0], _DIAMETER_RANGE[1], 1 / _WORK_DIAMETER) * _WORK_DIAMETER
    prior = np.exp(-0.5 * (np.log(diameters / _WORK_DIAMETER / _DIAMETER_PRIOR) / 0.4) ** 2)
    radii = diameters[:, None] / 2
    best, clear, found = -np.inf, 0.0, (float(row), float(column), _DIAMETER_PRIOR * _WORK_DIAMETER)
    for down in range(-16, 17, 2):
        for right in range(-16, 17, 2):
            step = np.zeros((len(diameters), len(angles)))
            for sign, shift in ((1, -3), (-1, 3)):
                at_rows = row + down + np.sin(angles) * (radii + shift)
                at_columns = column + right + np.cos(angles) * (radii + shift)
                step += sign * ndimage.map_coordinates(smooth, [at_rows, at_columns], order=1, mode="nearest")
            # The rim of the pale cup is steeper, but only on one side; the rim of the disc steps down nearly all
            # around. So a steep step counts little more than a clear one, and the steepest third not at all.
            ranked = np.sort(np.minimum(step, _CLEAR_STEP) + 0.2 * np.maximum(step - _CLEAR_STEP, 0), axis=1)
            value = ranked[:, len(angles) // 10 : 2 * len(angles) // 3].mean(axis=1)
            index = int(np.argmax(value * prior))
            if value[index] * prior[index] > best:
                best, clear = float(value[index] * prior[index]), float(value[index] / _CLEAR_STEP)
                found = (float(row + down), float(column + right), float(diameters[index]))
    return *found, float(np.clip(clear, 0, 1))
