"""Cases that are nearly the same image under two names: one person twice, a frame beside the next, a copy saved anew.

Where such cases are taken for two subjects, a split may put one on each side, and what is scored was learned by heart.
They are found by thumbnails. A thumbnail is the image averaged to 32 samples a side (volumes: 16), whatever its size,
without its smooth part and with its contrast evened, so that brightness, scale and noise matter little, and without the
dark frame around what is shown. Two of them are compared by correlation, after what the other thumbnails of the set
have in common was subtracted, which all images of one anatomy share; the likeliest pairs are also shifted against each
other. Images that are turned, or cut otherwise by more than a few percent, are not found.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import ndimage

from gracile.case import Case
from gracile.data.case_files import CaseFiles
from gracile.errors import DataError
from gracile.io import read_case_file
from gracile.recipe import Recipe

ALIKE = 0.8
"""Likeness from which two cases are a pair.

By `benchmarks/near_duplicates.py` on 3,700 cases of 11 sets: frames that are known to be one person's under two names
reach 0.95 and more, and every pair of 0.75 and more that was looked at shows one place of one person. The most alike
eyes of two people reach 0.62, in sets of a few cases 0.75; hippocampi 0.50 and 0.65; skulls of mice posed alike 0.66
and 0.74; frames of two patients less than 0.4.
"""

PARTED_REMEDY = "Look at both: give one person's cases one subject (a CSV names it), or keep one of them."

_SIDE = {2: 32, 3: 16}
"""Samples of a side of a thumbnail, by the number of axes."""

_SMOOTH = 2.0
"""Samples: standard deviation of what counts as the smooth part."""

_DARK = 0.1
"""Share of the range of intensities up to which what touches the border is the frame around an image."""

_SHRINKING = 10
"""Thumbnails of a set whose mean is trusted by half: that of a few is mostly their own."""

_PARTNERS = 10
"""Most pairs of a case, and as many with cases of its own subject."""

LOOKED_AT = 0.4
"""Likeness from which a pair is also shifted against each other; what is less alike is passed over."""

_MOST_SHIFTED = 2000
"""Pairs that are shifted; the likeliest are."""


@dataclass(frozen=True)
class Pair:
    """Two cases that are nearly the same image.

    Args:
        first: One of them.
        second: The other, later in the order of the cases.
        likeness: Correlation of their thumbnails, up to 1.
    """

    first: CaseFiles
    second: CaseFiles
    likeness: float

    @property
    def parts_subjects(self) -> bool:
        """Whether the data take them for two subjects."""
        return self.first.subject != self.second.subject


def near_duplicates(cases: Sequence[CaseFiles], recipe: Recipe, alike: float = ALIKE) -> list[Pair]:
    """The pairs of cases that are nearly the same image, the likeliest first.

    Reads one image at a time; cases whose image cannot be read are passed over, and so is the same file in two cases.

    Args:
        cases: The cases; of each one at most ten pairs with other subjects and ten with its own are given.
        recipe: Its input says how images are read.
        alike: Likeness from which two are a pair.
    """
    seen: dict[str, np.ndarray] = {}
    for files in cases:
        try:
            seen[files.id] = thumbnail(read_case_file(files.image, files.id, recipe.input, channels=files.channels))
        except DataError:
            continue
    return alike_pairs(cases, seen, alike)


def thumbnail(case: Case) -> np.ndarray:
    """``(32, 32)`` or ``(16, 16, 16)`` float32: a thumbnail of a picture's gray, of a volume's first channel.

    Its mean square is 1; of an image without any contrast it is 0 throughout.
    """
    picture = case.image.ndim == 3
    image = case.image.mean(axis=0, dtype=np.float32) if picture else np.asarray(case.image[0])
    small = _averaged(image, _SIDE[image.ndim])
    shown = _shown(small).astype(float)

    def smoothed(values: np.ndarray, width: float) -> np.ndarray:
        """Smoothed within what is shown (normalized convolution; Knutsson and Westin, CVPR 1993)."""
        weight = ndimage.gaussian_filter(shown, width, mode="nearest")
        return ndimage.gaussian_filter(values * shown, width, mode="nearest") / np.maximum(weight, 1e-6)

    fine = shown * (small - smoothed(small, _SMOOTH))
    contrast = np.sqrt((fine**2).sum() / shown.sum())
    evened = shown * fine / (np.sqrt(smoothed(fine**2, 1.5 * _SMOOTH)) + 0.25 * contrast + 1e-9)
    evened -= shown * evened.sum() / shown.sum()
    size = np.sqrt((evened**2).mean())
    return np.asarray(evened / size if size > 1e-6 else 0.0 * evened, dtype=np.float32)


def _averaged(image: np.ndarray, side: int) -> np.ndarray:
    """An image averaged to some samples a side, each over the part of the image that it stands for."""
    for axis in range(image.ndim):
        length = image.shape[axis]
        if length > 4 * side:  # whole samples first: a large volume shall not become one of float64
            starts = np.arange(4 * side) * length // (4 * side)
            counts = np.diff([*starts, length]).reshape([-1 if own == axis else 1 for own in range(image.ndim)])
            image = (np.add.reduceat(image, starts, axis=axis, dtype=np.float64) / counts).astype(np.float32)
            length = 4 * side
        before = np.zeros_like(image.take([0], axis), dtype=np.float64)
        sums = np.concatenate([before, image.cumsum(axis, np.float64)], axis)
        ends = np.linspace(0, length, side + 1)
        whole = np.minimum(ends.astype(int), length - 1)
        part = (ends - whole).reshape([-1 if own == axis else 1 for own in range(image.ndim)])
        at_ends = sums.take(whole, axis) * (1 - part) + sums.take(whole + 1, axis) * part
        image = np.diff(at_ends, axis=axis) * (side / length)
    return image


def _shown(small: np.ndarray) -> np.ndarray:
    """``bool``: what is not the dark frame around an image, nor next to it; all where little else is left."""
    low, high = np.percentile(small, [1, 99])
    dark = np.pad(small <= low + _DARK * (high - low), 1, constant_values=True)
    islands, _ = ndimage.label(dark)
    frame = (islands == islands[(0,) * small.ndim])[(slice(1, -1),) * small.ndim]
    shown = ~ndimage.binary_dilation(frame)
    return shown if shown.mean() > 0.2 else np.ones_like(shown)


def alike_pairs(cases: Sequence[CaseFiles], thumbnails: Mapping[str, np.ndarray], alike: float = ALIKE) -> list[Pair]:
    """The pairs among cases whose thumbnails are known, by their ids; see `near_duplicates`."""
    pairs: list[Pair] = []
    for shape in sorted({own.shape for own in thumbnails.values()}):
        members = [files for files in cases if files.id in thumbnails and thumbnails[files.id].shape == shape]
        stack = np.stack([thumbnails[files.id].ravel() for files in members]) / np.sqrt(np.prod(shape))
        found = _candidates(members, stack)
        ordered = sorted(((like, pair) for pair, like in found.items()), reverse=True)
        total = stack.sum(axis=0)
        certain = sum(like >= ALIKE for like, _ in ordered)
        for rank, (like, (one, other)) in enumerate(ordered):
            if certain <= rank < certain + _MOST_SHIFTED:
                shared = (total - stack[one] - stack[other]) * _trust(len(members)) / max(len(members) - 2, 1)
                like = _shifted_likeness(*((stack[own] - shared).reshape(shape) for own in (one, other)))
            if like >= alike:
                pairs.append(Pair(members[one], members[other], round(float(like), 4)))
    return sorted(pairs, key=lambda pair: -pair.likeness)


def parted_pairs(
    cases: Sequence[CaseFiles], thumbnails: Mapping[str, np.ndarray], sides: Mapping[str, str]
) -> Iterator[tuple[CaseFiles, str]]:
    """Of each pair that the data take for two subjects its first case, and what is to be said of it.

    Args:
        cases: The cases.
        thumbnails: Theirs, by id.
        sides: The side of a split that a case is on, by id.
    """
    for pair in alike_pairs(cases, thumbnails):
        one, other = pair.first, pair.second
        if pair.parts_subjects and not np.array_equal(thumbnails[one.id], thumbnails[other.id]):  # a copy is told apart
            message = f"The image is nearly the same as {other.image} ({pair.likeness:.0%} alike), of another subject."
            if len({sides[files.id] for files in (one, other) if files.id in sides}) > 1:
                message += " They are on both sides of the split."
            yield one, message


def _trust(count: int) -> float:
    """Share of the mean of the other thumbnails that is subtracted from a pair's."""
    return max(count - 2, 0) / (max(count - 2, 0) + _SHRINKING)


def _candidates(members: Sequence[CaseFiles], stack: np.ndarray) -> dict[tuple[int, int], float]:
    """Likeness by pair of numbers: of each case the best few with other subjects and with its own."""
    subjects = np.unique([files.subject for files in members], return_inverse=True)[1]
    images = np.unique([str(files.image) for files in members], return_inverse=True)[1]
    found: dict[tuple[int, int], float] = {}
    for row, likeness in enumerate(_likenesses(stack)):
        likeness[images == images[row]] = -1.0
        for side in (subjects == subjects[row], subjects != subjects[row]):
            own = np.where(side, likeness, -1.0)
            best = np.argpartition(-own, _PARTNERS)[:_PARTNERS] if len(own) > _PARTNERS else np.arange(len(own))
            for other in best[own[best] >= LOOKED_AT]:
                found[(min(row, int(other)), max(row, int(other)))] = float(own[other])
    return found


def _likenesses(stack: np.ndarray) -> Iterator[np.ndarray]:
    """Row by row the correlations of all pairs, once a share of the mean of the others was subtracted from both.

    For a pair the mean is that of all but the two, so that a pair is not subtracted from itself. All follows from the
    scalar products of the thumbnails.
    """
    count = len(stack)
    weight = _trust(count) / max(count - 2, 1)
    products = stack @ stack.T
    squares, sums = np.diag(products).copy(), products.sum(axis=1)
    for row in range(count):
        both = products[row]
        with_first = sums[row] - squares[row] - both  # of the others' sum with the first, with the second, with itself
        with_second = sums - squares - both
        others = sums.sum() - 2 * (sums[row] + sums) + squares[row] + squares + 2 * both
        common = both - weight * (with_first + with_second) + weight**2 * others
        first = squares[row] - 2 * weight * with_first + weight**2 * others
        second = squares - 2 * weight * with_second + weight**2 * others
        yield common / np.sqrt(np.maximum(first, 1e-6) * np.maximum(second, 1e-6))


def _shifted_likeness(first: np.ndarray, second: np.ndarray) -> float:
    """The largest correlation of two thumbnails shifted against each other, by whole samples and then by halves."""
    axes = first.ndim
    reach = range(-2, 3) if axes == 2 else range(-1, 2)
    whole = max(product(reach, repeat=axes), key=lambda step: _overlapping(first, second, step))
    best = _overlapping(first, second, whole)
    for half in product((-0.5, 0.0, 0.5), repeat=axes):
        moved = ndimage.shift(second, half, order=1, mode="nearest")
        best = max(best, _overlapping(first, moved, whole))
    return best


def _overlapping(first: np.ndarray, second: np.ndarray, step: Sequence[int]) -> float:
    """Correlation of one thumbnail with another that was moved by whole samples, where both are."""
    sides = list(zip(first.shape, step, strict=True))
    one = first[tuple(slice(max(0, by), length + min(0, by)) for length, by in sides)]
    other = second[tuple(slice(max(0, -by), length - max(0, by)) for length, by in sides)]
    size = np.linalg.norm(one) * np.linalg.norm(other)
    return float((one * other).sum() / size) if size > 1e-9 else 0.0
