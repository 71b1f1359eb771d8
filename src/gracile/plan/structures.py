"""What the structures of one label are like: how much, in how many islands, how thick, how long, where."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

MOST_SAMPLES = 4_000_000
"""Pixels or voxels of a class's box beyond which thickness is measured on every second one."""

MOST_DETAILED = 40
"""Classes of a label whose islands and thickness are measured; of more, those of the first ones."""


@dataclass
class Structures:
    """Of one case; lengths in the unit of the spacing.

    Args:
        counts: ``(classes)`` pixels or voxels.
        islands: ``(classes)``; NaN where a class is not shown.
        thickness: ``(classes)`` twice the 95th percentile of the distance to the border within a class.
        slenderness: ``(classes)`` the length of a rod of this thickness and volume, in thicknesses; a ball has 1.
        centers: ``(classes, axes)`` middle of each class, as a share of the field.
        box: ``(axes)`` lengths of the box around all classes.
        box_share: Of the field.
        touching: Pairs of classes with a common border.
    """

    counts: np.ndarray
    islands: np.ndarray
    thickness: np.ndarray
    slenderness: np.ndarray
    centers: np.ndarray
    box: np.ndarray
    box_share: float
    touching: list[tuple[int, int]]


def structures_of(truth: np.ndarray, spacing: np.ndarray, classes: int) -> Structures:
    """Look at a label.

    Args:
        truth: ``(*spatial)`` uint8 class indices; others than those of the classes count for nothing.
        spacing: ``(axes)`` of its samples.
        classes: How many there are, the background included.
    """
    axes, known = truth.ndim, classes - 1
    counts = np.bincount(truth.ravel(), minlength=256)[1:classes]
    islands, thickness, slenderness = (np.full(known, np.nan) for _ in range(3))
    centers = np.full((known, axes), np.nan)
    result = Structures(counts, islands, thickness, slenderness, centers, np.zeros(axes), 0.0, [])
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
    while member.size > MOST_SAMPLES:
        member, spacing = member[(slice(None, None, 2),) * member.ndim], spacing * 2
    padded = np.pad(member, 1)
    distances = ndimage.distance_transform_edt(padded, sampling=spacing)[padded]
    if not len(distances):
        return
    # From the middle of a sample to that of the next outside it: half a sample is beyond the border.
    thickness = max(float(spacing.min()), 2.0 * float(np.percentile(distances, 95)) - float(spacing.mean()))
    content = len(distances) * float(np.prod(spacing))
    across = thickness if member.ndim == 2 else np.pi / 4 * thickness**2
    result.thickness[index] = thickness
    result.slenderness[index] = max(1.0, content / across / thickness)


def _touching(part: np.ndarray, classes: int) -> list[tuple[int, int]]:
    pairs: set[tuple[int, int]] = set()
    for axis in range(part.ndim):
        first, second = np.delete(part, -1, axis), np.delete(part, 0, axis)
        differ = (first != second) & (first > 0) & (second > 0) & (first < classes) & (second < classes)
        codes = np.unique(first[differ].astype(np.int64) * 256 + second[differ])
        pairs |= {(min(c // 256, c % 256), max(c // 256, c % 256)) for c in codes.tolist()}
    return sorted(pairs)
