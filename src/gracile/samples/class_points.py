"""Places of each class of a case, from which a training draws classes equally often, however small they are."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from scipy import ndimage
from torch import Generator

from gracile.transforms.prepared import Prepared
from gracile.transforms.stored import Array
from gracile.transforms.volume import resampled_shape

POINTS_OF_A_CLASS = 2_000
"""Largest number of places that are kept of a class in a case."""

LEAST_SHARE = 0.05
"""Share of a pixel below which none is one of a class."""


class ClassPoints:
    """Places of the foreground classes, read from where they are kept; memory holds none of them.

    Args:
        table: Of `class_table`.
        classes: Number of the foreground classes.
    """

    def __init__(self, table: Array, classes: int) -> None:
        self.table = table
        self.classes = classes

    def __len__(self) -> int:
        return len(self.table) - self.classes

    def draw(self, generator: Generator) -> np.ndarray:
        """``(axes,)`` of one class's place, each class that there is equally often."""
        ends = np.asarray(self.table[: self.classes, :2])
        there = np.flatnonzero(ends[:, 1] > ends[:, 0])
        first, last = ends[there[_below(len(there), generator)]]
        return np.asarray(self.table[int(first) + _below(int(last - first), generator)])


def draw_place(places: Array | ClassPoints, generator: Generator) -> np.ndarray:
    """``(axes,)`` one of some places, of which there is one at least."""
    if isinstance(places, ClassPoints):
        return places.draw(generator)
    return np.asarray(places[_below(len(places), generator)])


def pixels_of_classes(case: Prepared) -> np.ndarray:
    """The table of a picture's foreground classes.

    A pixel is of a class that takes up half of it or, where a class is so fine that it fills no pixel, half of what it
    takes up at most.
    """
    assert case.truth is not None
    inside = np.asarray(case.region)

    def places(index: int) -> np.ndarray:
        share = np.asarray(case.truth[index]) * inside  # type: ignore[index]
        return some_places(share >= max(LEAST_SHARE, min(0.5, float(share.max(initial=0)) / 2)), POINTS_OF_A_CLASS)

    return class_table([places(index) for index in range(1, len(case.truth))], 2)


def voxels_of_classes(labels: Array, classes: int, steps: np.ndarray) -> np.ndarray:
    """The table of a volume's foreground classes.

    Args:
        labels: ``(x, y, z)`` class indices.
        classes: Their number, the background included.
        steps: ``(3,)`` voxels from one sample to the next; places are samples.
    """
    values = np.asarray(labels)
    last = np.array(resampled_shape(values.shape, steps)) - 1
    points = []
    for index, box in enumerate(ndimage.find_objects(values, classes - 1), start=1):
        if box is None:
            points.append(np.zeros((0, 3), dtype=np.int32))
            continue
        voxels = some_places(values[box] == index, POINTS_OF_A_CLASS) + [side.start for side in box]
        points.append(np.clip(np.round(voxels / steps), 0, last))
    points += [np.zeros((0, 3), dtype=np.int32)] * (classes - 1 - len(points))
    return class_table(points, 3)


def class_table(points: Sequence[np.ndarray], axes: int) -> np.ndarray:
    """One array of all classes' places: ``(classes + places, axes)`` int32, a class's first and last row before them.

    Args:
        points: ``(n, axes)`` of each class.
        axes: At least two.
    """
    heads = np.zeros((len(points), axes), dtype=np.int32)
    ends = len(points) + np.cumsum([0, *(len(some) for some in points)])
    heads[:, 0], heads[:, 1] = ends[:-1], ends[1:]
    return np.concatenate([heads, *(some.astype(np.int32) for some in points)])


def some_places(where: np.ndarray, most: int) -> np.ndarray:
    """``(n, axes)`` int32 indices where it is true, at random ``most`` of them, found without listing them all."""
    counts = np.array([np.count_nonzero(part) for part in where], dtype=np.int64)
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    ranks = np.arange(total)
    if total > most:
        ranks = np.sort(np.random.default_rng(0).choice(total, most, replace=False, shuffle=False))
    parts = np.searchsorted(ends, ranks, side="right")
    found = [_within(where, int(part), ranks[parts == part] - (ends[part] - counts[part])) for part in np.unique(parts)]
    return np.concatenate([np.zeros((0, where.ndim), dtype=np.int32), *found])


def _within(where: np.ndarray, part: int, ranks: np.ndarray) -> np.ndarray:
    """Those of some ranks among the true places of one part along the first axis."""
    flat = np.flatnonzero(where[part])[ranks]
    rest: Iterable[np.ndarray] = np.unravel_index(flat, where.shape[1:])
    return np.stack([np.full(len(flat), part), *rest], axis=1).astype(np.int32)


def _below(count: int, generator: Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
