"""What the structures of one label are like: how much, in how many islands, how thick, how long, where."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

MOST_SAMPLES = 4_000_000
"""Pixels or voxels of a class's box beyond which thickness is measured on every second one, or in blocks of it."""

BLOCKS = 4
"""Parts of a large box in which what is thin is measured; together they have `MOST_SAMPLES`."""

THICK_STEPS = 8.0
"""Samples across a structure from which on leaving out every second one of them changes its thickness little."""

MOST_DETAILED = 40
"""Classes of a label whose islands and thickness are measured; of more, those of the first ones."""


@dataclass
class Structures:
    """Of one case; lengths in the unit of the spacing.

    Args:
        counts: ``(classes)`` pixels or voxels.
        islands: ``(classes)``; NaN where a class is not shown.
        thickness: ``(classes)`` twice the distance from a class's ridge to its border: the width of a rod or a sheet,
            the diameter of a ball.
        slenderness: ``(classes)`` the length of a rod of this thickness and volume, in thicknesses; a ball has 1.
        split: ``(classes)`` of a volume, share of the slices along the third axis, among those that show a class, in
            which it is in several pieces; NaN where it is not shown.
        centers: ``(classes, axes)`` middle of each class, as a share of the field.
        box: ``(axes)`` lengths of the box around all classes.
        box_share: Of the field.
        touching: Pairs of classes with a common border.
    """

    counts: np.ndarray
    islands: np.ndarray
    thickness: np.ndarray
    slenderness: np.ndarray
    split: np.ndarray
    centers: np.ndarray
    box: np.ndarray
    box_share: float
    touching: list[tuple[int, int]]

    def turned(self, axes: list[int]) -> "Structures":
        """The same with the axes of the field in another order; `split` keeps to the slices that it was told of."""
        return replace(self, centers=self.centers[:, axes], box=self.box[axes])


def structures_of(truth: np.ndarray, spacing: np.ndarray, classes: int) -> Structures:
    """Look at a label.

    Args:
        truth: ``(*spatial)`` uint8 class indices; others than those of the classes count for nothing.
        spacing: ``(axes)`` of its samples.
        classes: How many there are, the background included.
    """
    axes, known = truth.ndim, classes - 1
    counts = np.bincount(truth.ravel(), minlength=256)[1:classes]
    islands, thickness, slenderness, split = (np.full(known, np.nan) for _ in range(4))
    centers = np.full((known, axes), np.nan)
    result = Structures(counts, islands, thickness, slenderness, split, centers, np.zeros(axes), 0.0, [])
    boxes = ndimage.find_objects(truth, max_label=known)
    there = [(index, box) for index, box in enumerate(boxes) if box is not None]
    if not there:
        return result
    low = np.min([[side.start for side in box] for _, box in there], axis=0)
    high = np.max([[side.stop for side in box] for _, box in there], axis=0)
    result.box = (high - low) * spacing
    result.box_share = float(np.prod((high - low) / np.array(truth.shape)))
    for index, box in there:
        middle = np.array([(side.start + side.stop) / 2 for side in box])
        result.centers[index] = middle / np.array(truth.shape)
    for index, box in there[:MOST_DETAILED]:
        _measure(result, index, truth[box] == index + 1, spacing)
    whole = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    result.touching = _touching(truth[whole], classes) if known > 1 else []
    return result


def _measure(result: Structures, index: int, member: np.ndarray, spacing: np.ndarray) -> None:
    """Islands, thickness and slenderness of a class within its box."""
    result.islands[index] = ndimage.label(member, np.ones((3,) * member.ndim))[1]
    if member.ndim == 3:
        result.split[index] = _split_share(member)
    thickness = thickness_of(member, spacing)
    content = int(member.sum()) * float(np.prod(spacing))
    across = thickness if member.ndim == 2 else np.pi / 4 * thickness**2
    result.thickness[index] = thickness
    result.slenderness[index] = max(1.0, content / across / thickness)


def _split_share(member: np.ndarray) -> float:
    """Of the slices along the third axis that show something, the share that shows it in several pieces."""
    within = np.zeros((3, 3, 3), bool)
    within[:, :, 1] = True
    labels, count = ndimage.label(member, within)
    slices = np.zeros(count + 1, np.intp)
    slices[labels[member]] = np.nonzero(member)[2]
    pieces = np.bincount(slices[1:])
    return float((pieces > 1).sum() / (pieces > 0).sum())


def thickness_of(member: np.ndarray, spacing: np.ndarray) -> float:
    """How thick a structure is in most of its volume, in the unit of the spacing.

    The distance to the border is told on the ridge of a structure, where no neighbor lies deeper, and weighted by its
    square: as a rod's volume is, so that thin branches count as little as they have.

    Args:
        member: Bool ``(*spatial)``, true somewhere; what lies beyond it is none of the structure.
        spacing: ``(axes)`` of its samples.
    """
    if member.size <= MOST_SAMPLES:
        return _thickness([np.pad(member, 1)], spacing)
    coarse, steps = member, spacing
    while coarse.size > MOST_SAMPLES:
        coarse, steps = coarse[(slice(None, None, 2),) * coarse.ndim], steps * 2
    if coarse.any():
        thickness = _thickness([np.pad(coarse, 1)], steps)
        if thickness >= THICK_STEPS * steps.max():
            return thickness
    return _thickness(_blocks(np.pad(member, 1)), spacing)


def _blocks(member: np.ndarray) -> list[np.ndarray]:
    """Parts of a large array around members that are spread evenly, as near to cubes as fits."""
    sides = np.array(member.shape)
    while np.prod(sides) > MOST_SAMPLES // BLOCKS:
        sides[np.argmax(sides)] //= 2
    places = np.flatnonzero(member)
    blocks = []
    for number in range(BLOCKS):
        middle = np.unravel_index(places[len(places) * (2 * number + 1) // (2 * BLOCKS)], member.shape)
        starts = np.clip(np.array(middle) - sides // 2, 0, np.array(member.shape) - sides)
        blocks.append(member[tuple(slice(a, a + n) for a, n in zip(starts, sides, strict=True))])
    return blocks


def _thickness(parts: list[np.ndarray], spacing: np.ndarray) -> float:
    """The weighted median over parts of a structure; beyond their ends it is taken to go on as it is."""
    halves = np.concatenate([_ridge(part, spacing) for part in parts])
    if not len(halves):  # no part has a border
        return float(min(parts[0].shape * spacing))
    halves.sort()
    weights = np.cumsum(halves**2)
    return 2.0 * float(halves[np.searchsorted(weights, weights[-1] / 2)])


def _ridge(part: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """``(n)`` distances to the border at the samples of a ridge."""
    if part.all():
        return np.zeros(0)
    distances, nearest = ndimage.distance_transform_edt(part, sampling=spacing, return_indices=True)
    top = part & (distances >= ndimage.maximum_filter(distances, 3))
    places = np.nonzero(top)
    away = np.abs([to[top] - own for to, own in zip(nearest, places, strict=True)]).max(axis=0)
    # The nearest sample outside lies behind the border by half of the last step, along the axis of most steps. A
    # quarter is taken: a rod of an even number of samples has its middle between two of them, which takes another half.
    return np.asarray(distances[top] * (1 - 0.25 / away))


def _touching(part: np.ndarray, classes: int) -> list[tuple[int, int]]:
    pairs: set[tuple[int, int]] = set()
    for axis in range(part.ndim):
        first, second = np.delete(part, -1, axis), np.delete(part, 0, axis)
        differ = (first != second) & (first > 0) & (second > 0) & (first < classes) & (second < classes)
        codes = np.unique(first[differ].astype(np.int64) * 256 + second[differ])
        pairs |= {(min(c // 256, c % 256), max(c // 256, c % 256)) for c in codes.tolist()}
    return sorted(pairs)
