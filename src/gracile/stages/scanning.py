"""Searching a volume with windows: coarsely everywhere, then finely where it may not be background."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import ndimage

from gracile.transforms.column import Box

EVERYWHERE = np.ones((3, 3, 3), dtype=bool)
"""A voxel and its 26 neighbors."""


class Windows(Protocol):
    """Class probabilities of windows of a stack of slices, the background last, exact or dense."""

    classes: int

    def grid(self, planes: np.ndarray, box: Box, step: int) -> np.ndarray:
        """``(classes, slices, rows, columns)`` around every ``step``-th place of a box."""

    def at(self, planes: np.ndarray, places: np.ndarray) -> np.ndarray:
        """``(n, classes)`` around ``(n, 3)`` places."""


@dataclass
class Scan:
    """What a search saw.

    Args:
        probabilities: ``(classes, *box)`` float32, the background last and 1 where nothing was computed.
        looked: ``(*box)`` bool, where something was.
        box: The part of the volume that was searched.
    """

    probabilities: np.ndarray
    looked: np.ndarray
    box: Box


class VolumeWindows:
    """Windows across one or several axes of a volume; the answers of several are averaged.

    Args:
        windows: What classifies windows of slices.
        volume: ``(x, y, z)`` from 0 to 1.
        normals: Axes across the windows' planes.
    """

    def __init__(self, windows: Windows, volume: np.ndarray, normals: Sequence[int]) -> None:
        self.windows = windows
        self.volume = volume
        self.normals = normals
        self.classes = windows.classes

    def grid(self, box: Box, step: int) -> np.ndarray:
        """``(classes, x, y, z)`` probabilities around every ``step``-th voxel of a box."""
        answers = []
        for normal in self.normals:
            turned = [box[axis] for axis in self._order(normal)]
            planes = self.volume.transpose(self._order(normal))
            found = self.windows.grid(planes, (turned[0], turned[1], turned[2]), step)
            answers.append(np.moveaxis(found, 1, normal + 1))
        return np.stack(answers).mean(axis=0, dtype=np.float32)

    def at(self, voxels: np.ndarray) -> np.ndarray:
        """``(n, classes)`` probabilities around ``(n, 3)`` voxels."""
        answers = [
            self.windows.at(self.volume.transpose(self._order(normal)), voxels[:, self._order(normal)])
            for normal in self.normals
        ]
        return np.stack(answers).mean(axis=0, dtype=np.float32)

    @staticmethod
    def _order(normal: int) -> list[int]:
        return [normal, *[axis for axis in range(3) if axis != normal]]


def search(windows: VolumeWindows, box: Box, step: int, keep: float) -> Scan:
    """Search a box of a volume, coarsely and then finely.

    First the windows around every ``step``-th voxel along each axis are classified. A voxel is *warm* where all
    landmarks together reach ``keep``. All neighbors of warm voxels are classified too, in cells of ``step`` voxels a
    side, until no warm voxel has a neighbor that was not.

    What that guarantees: an island of warm voxels (26 neighbors) that holds a voxel of the coarse grid is seen as a
    whole, exactly as a search of every voxel would see it. That is every island with a cube of ``step`` voxels a side
    in it, wherever it lies. An island of a landmark at a threshold of at least ``keep`` is part of a warm one. Nothing
    is guaranteed for an island that slips through the coarse grid; ``step`` 1 leaves nothing out.

    Args:
        windows: What classifies windows around voxels.
        box: The part of the volume that is searched.
        step: 1, 2, 4 or 8.
        keep: From 0 to 1.
    """
    shape = tuple(side.stop - side.start for side in box)
    probabilities = np.zeros((windows.classes, *shape), dtype=np.float32)
    probabilities[-1] = 1.0
    looked = np.zeros(shape, dtype=bool)
    coarse = (slice(None, None, step),) * 3
    probabilities[(slice(None), *coarse)] = windows.grid(box, step)
    looked[coarse] = True
    while step > 1:
        warm = looked & (1.0 - probabilities[-1] >= keep)
        wanted = _whole_cells(ndimage.binary_dilation(warm, EVERYWHERE) & ~looked, step) & ~looked
        if not wanted.any():
            break
        voxels = np.argwhere(wanted)
        probabilities[:, wanted] = windows.at(voxels + [side.start for side in box]).T
        looked |= wanted
    return Scan(probabilities, looked, box)


def _whole_cells(mask: np.ndarray, step: int) -> np.ndarray:
    """Every cell of ``step`` voxels a side that holds a voxel of a mask."""
    padded = np.pad(mask, [(0, -n % step) for n in mask.shape])
    x, y, z = (n // step for n in padded.shape)
    cells = np.asarray(padded.reshape(x, step, y, step, z, step).any(axis=(1, 3, 5)))
    for axis in range(3):
        cells = cells.repeat(step, axis=axis)
    return cells[: mask.shape[0], : mask.shape[1], : mask.shape[2]]
