"""Each class's share of a volume's samples, read from class indices a window at a time."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy import ndimage

from gracile.case import IGNORED
from gracile.transforms.column import Box
from gracile.transforms.separable import on_grid
from gracile.transforms.stored import Array
from gracile.transforms.volume import anti_alias_sigmas, resampled_shape

TRUNCATE = 4.0
"""Deviations after which SciPy cuts a Gaussian off, by its own default."""


class Maps(Protocol):
    """What is to be learned of a volume, computed where a sample needs it."""

    def window(self, box: Box) -> np.ndarray:
        """``(maps, *box)`` float32 of a part of the volume."""
        ...


@dataclass(frozen=True)
class ClassShares:
    """The shares of the foreground classes, as `gracile.transforms.volume.resample_to_spacing` makes them of maps.

    No map is made of more than the window, and none is smoothed beyond a class's own surroundings.

    Args:
        labels: ``(x, y, z)`` class indices.
        classes: Number of classes, the background included.
        steps: ``(3,)`` voxels that one sample stands for.
        resampled: Whether samples lie ``steps`` apart; else on the voxels, smoothed for taking every ``steps``-th.
        ignored: Whether the share of what the labels ignore comes last, as one more map.
    """

    labels: Array
    classes: int
    steps: np.ndarray
    resampled: bool
    ignored: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole map of a class."""
        return resampled_shape(self.labels.shape, self.steps) if self._apart else self.labels.shape

    @property
    def _apart(self) -> bool:
        return self.resampled and not np.allclose(self.steps, 1.0)

    def window(self, box: Box) -> np.ndarray:
        """``(maps, *box)`` float32: the foreground classes and, where asked for, what is ignored."""
        if not self._apart:
            return self._on_voxels(box)
        first = [int(np.floor(side.start * step)) for side, step in zip(box, self.steps, strict=True)]
        last = [int(np.floor((side.stop - 1) * step)) + 2 for side, step in zip(box, self.steps, strict=True)]
        x, y, z = (slice(a, min(b, n)) for a, b, n in zip(first, last, self.labels.shape, strict=True))
        voxels = self._on_voxels((x, y, z))
        axes = [np.arange(side.start, side.stop) * step - start
                for side, step, start in zip(box, self.steps, first, strict=True)]  # fmt: skip
        shares = np.zeros((len(voxels), *(len(axis) for axis in axes)), dtype=np.float32)
        there = np.flatnonzero(voxels.any(axis=(1, 2, 3)))
        shares[there] = on_grid(voxels[there], axes)
        return shares

    def _on_voxels(self, box: Box) -> np.ndarray:
        """Smoothed shares ``(maps, *box)`` of the voxels themselves."""
        sigmas = anti_alias_sigmas(self.steps)
        reach = [int(TRUNCATE * sigma + 0.5) for sigma in sigmas]
        wider = _widened(box, reach, self.labels.shape)
        labels = self.labels[wider]
        maps = self.classes - 1 + self.ignored
        shares = np.zeros((maps, *(side.stop - side.start for side in box)), dtype=np.float32)
        inner = tuple(slice(side.start - w.start, side.stop - w.start) for side, w in zip(box, wider, strict=True))
        for number, (index, found) in enumerate(self._places(labels)):
            if found is None:
                continue
            near = _widened(found, reach, labels.shape)
            own = (labels[near] == index).astype(np.float32)
            if any(reach):
                own = ndimage.gaussian_filter(own, sigmas, mode="nearest", truncate=TRUNCATE)
            whole = np.zeros(labels.shape, dtype=np.float32)
            whole[near] = own
            shares[number] = whole[inner]
        return shares

    def _places(self, labels: np.ndarray) -> list[tuple[int, Any]]:
        """The value of each map in the labels, and the box around it; None where it does not occur."""
        boxes = ndimage.find_objects(labels, self.classes - 1)
        places = list(enumerate(boxes, start=1))
        if self.ignored:
            places.append((IGNORED, next(iter(ndimage.find_objects((labels == IGNORED).astype(np.uint8))), None)))
        return places


def _widened(box: Box, reach: list[int], shape: tuple[int, ...]) -> Box:
    x, y, z = (slice(max(0, side.start - more), min(n, side.stop + more))
               for side, more, n in zip(box, reach, shape, strict=True))  # fmt: skip
    return x, y, z
