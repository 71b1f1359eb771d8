"""The optic disc of a fundus photograph: given by the user, or found as the bright round place where vessels meet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from gracile.geometry.boxes import bounding_box

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
    box = bounding_box(region)
    if box is None or image.shape[0] != 3 or np.count_nonzero(region) < 1000:
        return None
    rows, columns = box
    factor = _WORK_DIAMETER / max(rows.stop - rows.start, columns.stop - columns.start)
    shape = (max(8, round((rows.stop - rows.start) * factor)), max(8, round((columns.stop - columns.start) * factor)))
    small = np.stack([_shrink(band[box], shape) for band in image])
    inside = _shrink(region[box], shape) > 0.5
    bright = _brightness(small, inside)
    score = _circle_contrast(bright, inside)
    agreement = 1.0
    if vessels is not None and np.any(vessels & region):
        meeting = _convergence(_shrink((vessels & region)[box], shape), inside)
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


def _shrink(band: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A band as float32 in 0..1 at another size, averaged over whole pixels first where it gets much smaller."""
    block = max(1, min(band.shape[0] // shape[0], band.shape[1] // shape[1]))
    rows, columns = (-(-side // block) for side in band.shape)
    whole = np.zeros((rows * block, columns * block), dtype=np.float32)
    whole[: band.shape[0], : band.shape[1]] = band
    small = whole.reshape(rows, block, -1).sum(axis=1).reshape(rows, columns, block).sum(axis=2)
    small /= block**2 * (255.0 if band.dtype == np.uint8 else 1.0)
    factors = [a / b for a, b in zip(small.shape, shape, strict=True)]
    small = ndimage.gaussian_filter(small, [max(0.0, (factor - 1) / 2) for factor in factors], mode="mirror")
    return ndimage.zoom(small, [1 / factor for factor in factors], order=1, mode="mirror", grid_mode=True)


class _Blur:
    """Gaussian means over a small picture. A matrix for each axis: as fast for a wide one as for a narrow one."""

    def __init__(self, shape: tuple[int, ...], sigma: float) -> None:
        self.down, self.across = (_smoothing(side, sigma) for side in shape)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return self.down @ values.astype(np.float32) @ self.across.T

    def within(self, inside: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The mean of the values inside a region only."""
        return self(np.where(inside, values, 0)) / np.maximum(self(inside), 1e-3)


def _smoothing(side: int, sigma: float) -> np.ndarray:
    """``(side, side)`` what `scipy.ndimage.gaussian_filter1d` does to an axis, whose ends it reflects."""
    reach = int(4 * sigma + 0.5)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    taken = np.arange(side)[:, None] + offsets
    taken = np.abs(np.where(taken < 0, -1 - taken, taken)) % (2 * side)
    taken = np.where(taken >= side, 2 * side - 1 - taken, taken)
    flat = (np.arange(side)[:, None] * side + taken).ravel()
    matrix = np.bincount(flat, np.broadcast_to(weights / weights.sum(), taken.shape).ravel(), minlength=side * side)
    return matrix.reshape(side, side).astype(np.float32)


def _brightness(small: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Red and green without vessels and without uneven light, in standard deviations."""
    near, far = _Blur(inside.shape, 12), _Blur(inside.shape, 45)
    rows, columns = np.mgrid[-4:5, -4:5]
    round_ = rows**2 + columns**2 <= 16
    out = np.zeros(inside.shape, dtype=np.float32)
    for band, share in ((0, 0.4), (1, 0.6)):
        filled = np.where(inside, small[band], near.within(inside, small[band]))
        closed = ndimage.grey_closing(filled, footprint=round_)
        flat = closed - far.within(inside, closed)
        out += share * flat / max(float(flat[inside].std()), 1e-4)
    return np.where(inside, np.clip(out, -3, 6), 0).astype(np.float32)


def _circle_contrast(bright: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """``(height, width)`` how much brighter the circle around each pixel is than the ring around it, 0 to about 1."""
    diameters = [_WORK_DIAMETER / part for part in (8, 6.7, 5.5)]
    reach = int(np.ceil(0.85 * max(diameters)))
    distance = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    sums = _Sums((bright, inside), reach)
    best = np.zeros(bright.shape, dtype=np.float32)
    for diameter in diameters:
        means = []
        for part in (distance <= 0.5 * diameter, (distance > 0.55 * diameter) & (distance <= 0.85 * diameter)):
            total, number = sums.under(part)
            means.append((total / np.maximum(number, 1), number / part.sum()))
        (middle, filled), (ring, around) = means
        contrast = np.where((filled > 0.8) & (around > 0.4), middle - ring, 0)
        best = np.maximum(best, np.maximum(contrast, 0))
    best[~inside] = 0
    return (best / max(float(best.max()), 1e-6)).astype(np.float32)


class _Sums:
    """Sums of several maps of one size under symmetric kernels; what lies outside of the maps is 0.

    Args:
        maps: Each ``(height, width)``.
        reach: The kernels have ``2 * reach + 1`` rows and columns.
    """

    def __init__(self, maps: Sequence[np.ndarray], reach: int) -> None:
        self.reach = reach
        self.shape = maps[0].shape
        self.padded = [-(-(side + 2 * reach) // 32) * 32 for side in self.shape]
        self.transformed = np.fft.rfft2(np.stack(maps).astype(np.float32), self.padded)

    def under(self, kernel: np.ndarray) -> np.ndarray:
        """``(maps, height, width)`` sums under a kernel about each pixel."""
        whole = np.fft.irfft2(self.transformed * np.fft.rfft2(kernel.astype(np.float32), self.padded), self.padded)
        return whole[:, self.reach : self.reach + self.shape[0], self.reach : self.reach + self.shape[1]]


def _convergence(vessels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """``(height, width)`` 0 to 1, how many vessels point to each place, thick ones counting more."""
    soft = ndimage.gaussian_filter(vessels, 1.5)
    row_slope, column_slope = ndimage.sobel(soft, axis=0), ndimage.sobel(soft, axis=1)
    rr, cc, rc = (ndimage.gaussian_filter(a, 2) for a in (row_slope**2, column_slope**2, row_slope * column_slope))
    angle = 0.5 * np.arctan2(2 * rc, cc - rr) + np.pi / 2
    wide = ndimage.gaussian_filter(vessels, 2.5)
    rows, columns = np.nonzero(vessels > 0.4)
    across = angle[rows, columns]
    reach = np.arange(-70, 71, 2.0)
    to_rows = np.rint(rows[:, None] + np.sin(across)[:, None] * reach).astype(int)
    to_columns = np.rint(columns[:, None] + np.cos(across)[:, None] * reach).astype(int)
    weight = np.broadcast_to((wide[rows, columns] ** 2)[:, None], to_rows.shape)
    keep = (to_rows >= 0) & (to_rows < vessels.shape[0]) & (to_columns >= 0) & (to_columns < vessels.shape[1])
    places = to_rows[keep] * vessels.shape[1] + to_columns[keep]
    votes = np.bincount(places, weight[keep], minlength=vessels.size).reshape(vessels.shape)
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
    smooth = _Blur(inside.shape, 2).within(inside, bright)
    angles = np.arange(0, 2 * np.pi, np.pi / 24)
    diameters = np.arange(_DIAMETER_RANGE[0], _DIAMETER_RANGE[1], 1 / _WORK_DIAMETER) * _WORK_DIAMETER
    prior = np.exp(-0.5 * (np.log(diameters / _WORK_DIAMETER / _DIAMETER_PRIOR) / 0.4) ** 2)
    shifts = np.stack(np.meshgrid(*[np.arange(-16, 17, 2)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    # Radii grow by half pixels: 3 pixels inside of one rim is where another rim is read 3 pixels outside.
    radii = diameters[0] / 2 + np.arange(-6, len(diameters) + 6)[:, None] / 2
    reads = _shifted_reads(smooth, row + np.sin(angles) * radii, column + np.cos(angles) * radii, shifts)
    step = reads[:, :-12] - reads[:, 12:]
    # The rim of the pale cup is steeper, but only on one side; the rim of the disc steps down nearly all around. So a
    # steep step counts little more than a clear one, and the steepest third not at all.
    step = np.minimum(step, _CLEAR_STEP) + np.float32(0.2) * np.maximum(step - np.float32(_CLEAR_STEP), 0)
    first, last = len(angles) // 10, 2 * len(angles) // 3
    step.partition((first, last), axis=2)
    value = step[:, :, first:last].mean(axis=2)
    shift, index = np.unravel_index(int(np.argmax(value * prior)), value.shape)
    down, right = shifts[shift]
    clear = float(np.clip(value[shift, index] / _CLEAR_STEP, 0, 1))
    return float(row + down), float(column + right), float(diameters[index]), clear


def _shifted_reads(image: np.ndarray, rows: np.ndarray, columns: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """An image between its pixels at places, and at these places shifted by whole pixels; its edges go on outside.

    Args:
        image: ``(height, width)``.
        rows: Of places, of any shape.
        columns: Likewise.
        shifts: ``(n, 2)`` down and right.

    Returns:
        ``(n, *places)``.
    """
    room = int(np.abs(shifts).max() + max(np.ptp(rows), np.ptp(columns)) + max(image.shape))
    corner_rows, corner_columns = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = (rows - corner_rows).astype(np.float32), (columns - corner_columns).astype(np.float32)
    padded = np.pad(image, room, mode="edge")
    width = padded.shape[1]
    at = (corner_rows + room) * width + corner_columns + room
    at = at + (shifts[:, 0] * width + shifts[:, 1]).reshape(-1, *[1] * rows.ndim)
    flat = padded.ravel()
    upper = flat[at] * (1 - right) + flat[at + 1] * right
    lower = flat[at + width] * (1 - right) + flat[at + width + 1] * right
    return upper * (1 - down) + lower * down
