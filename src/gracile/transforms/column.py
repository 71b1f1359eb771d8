"""A column: small slices along a line, cut straight out of a volume, and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gracile.case import IGNORED
from gracile.geometry import Centerline
from gracile.transforms.separable import on_grid
from gracile.transforms.stored import Array
from gracile.transforms.volume import smoothed_for, steps_to

Box = tuple[slice, slice, slice]

TOGETHER = 16
"""Slices that are interpolated at once, on all pixels of the column's grid that one of them has."""


@dataclass(frozen=True)
class Column:
    """Slices of one size around a line, on an oriented volume whose third axis the line follows.

    Each slice is shifted by whole pixels of the column, so that pixels of neighboring slices lie in line and nothing is
    sheared. Where the volume's voxels lie on the column's pixels (1 mm on 0.5 mm) they come back as they went in.

    Args:
        shape: Of the volume.
        steps: Voxels of the volume that one step along each axis of the column is.
        corners: ``(length, 2)`` whole numbers: the first pixel of each slice, counted in steps from the first voxel.
        first: The column's first slice, in steps from the volume's first.
        size: Pixels of a slice.
        slice_mm: Distance of slices.
    """

    shape: tuple[int, int, int]
    steps: np.ndarray
    corners: np.ndarray
    first: int
    size: tuple[int, int]
    slice_mm: float

    @classmethod
    def along(
        cls,
        line: Centerline,
        affine: np.ndarray,
        shape: tuple[int, int, int],
        size: tuple[int, int],
        spacing_mm: Sequence[float],
    ) -> "Column":
        """The column around a line.

        Args:
            line: The line; the column ends where it does.
            affine: Of the oriented volume.
            shape: Of the oriented volume.
            size: Pixels of a slice.
            spacing_mm: Of the column; 0 keeps the volume's.
        """
        own = np.linalg.norm(affine[:3, :3], axis=0)
        steps = steps_to(spacing_mm, own)
        voxels = line.in_voxels(affine)
        voxels = voxels[np.argsort(voxels[:, 2])]
        last = int(np.floor((shape[2] - 1) / steps[2] + 1e-6))
        low = min(last, max(0, int(np.floor(voxels[0, 2] / steps[2] + 1e-6))))
        high = max(low, min(last, int(np.ceil(voxels[-1, 2] / steps[2] - 1e-6))))
        heights = np.arange(low, high + 1) * steps[2]
        middle = np.stack([np.interp(heights, voxels[:, 2], voxels[:, axis]) for axis in (0, 1)], axis=1)
        corners = np.round(middle / steps[:2]).astype(int) - np.array(size) // 2
        return cls(shape, steps, corners, low, size, float(own[2] * steps[2]))

    @property
    def length(self) -> int:
        """Number of slices."""
        return len(self.corners)

    def positions(self) -> np.ndarray:
        """``(*size, length, 3)`` where the column's pixels lie, in voxels of the volume."""
        offsets = [np.arange(n) for n in self.size]
        x = (self.corners[None, None, :, 0] + offsets[0][:, None, None]) * self.steps[0]
        y = (self.corners[None, None, :, 1] + offsets[1][None, :, None]) * self.steps[1]
        z = ((self.first + np.arange(self.length)) * self.steps[2])[None, None, :]
        return np.stack(np.broadcast_arrays(x, y, z), axis=-1)

    @property
    def box(self) -> Box:
        """The part of the volume that the column covers."""
        low, high = self.corners.min(axis=0), self.corners.max(axis=0) + np.array(self.size) - 1
        ends = [(low[i] * self.steps[i], high[i] * self.steps[i]) for i in (0, 1)]
        ends.append((self.first * self.steps[2], (self.first + self.length - 1) * self.steps[2]))
        starts = [min(n - 1, max(0, int(np.ceil(a - 1e-6)))) for (a, _), n in zip(ends, self.shape, strict=True)]
        stops = [max(s + 1, min(n, int(np.floor(b + 1e-6)) + 1))
                 for s, (_, b), n in zip(starts, ends, self.shape, strict=True)]  # fmt: skip
        return slice(starts[0], stops[0]), slice(starts[1], stops[1]), slice(starts[2], stops[2])

    def cut(self, volume: Array) -> np.ndarray:
        """``(channels, x, y, z)`` to ``(channels, *size, length)`` float32; 0 where the column leaves the volume."""
        return self._sampled(volume[(slice(None), *self._wider)])

    def cut_shares(self, labels: Array, classes: int, ignored: bool = False) -> np.ndarray:
        """``(x, y, z)`` class indices to the shares of the foreground classes, ``(classes - 1, *size, length)``.

        With ``ignored``, what the labels ignore comes last.
        """
        window = labels[self._wider]
        return self._sampled(np.stack([window == index for index in [*range(1, classes), *[IGNORED] * ignored]]))

    @property
    def _wider(self) -> Box:
        """The box with what it takes to interpolate at its border."""
        margin = np.ceil(self.steps).astype(int) + 1
        x, y, z = (
            slice(max(0, part.start - m), min(n, part.stop + m))
            for part, m, n in zip(self.box, margin, self.shape, strict=True)
        )
        return x, y, z

    def _sampled(self, window: np.ndarray) -> np.ndarray:
        window = smoothed_for(window, self.steps)
        starts = [part.start for part in self._wider]
        result = np.empty((len(window), *self.size, self.length), dtype=np.float32)
        for start in range(0, self.length, TOGETHER):
            corners = self.corners[start : start + TOGETHER]
            first = np.array([*corners.min(axis=0), self.first + start])
            counts = [*(np.ptp(corners, axis=0) + self.size), len(corners)]
            axes = [(low + np.arange(count)) * step - begin
                    for low, count, step, begin in zip(first, counts, self.steps, starts, strict=True)]  # fmt: skip
            grid = on_grid(window, axes)
            for number, (x, y) in enumerate(corners - first[:2]):
                part = grid[:, x : x + self.size[0], y : y + self.size[1], number]
                result[..., start + number] = part
        return result

    def restore(self, maps: np.ndarray, outside: Sequence[float]) -> np.ndarray:
        """``(channels, *size, length)`` maps to the voxels of `box`, linearly.

        Args:
            maps: On the column.
            outside: Value of each channel where the column is not.

        Returns:
            ``(channels, *box)`` float32.
        """
        box = self.box
        x, y, z = (np.arange(part.start, part.stop) / step for part, step in zip(box, self.steps, strict=True))
        slices = np.clip(z - self.first, 0, self.length - 1)
        shift = np.asarray(outside, dtype=np.float32)[:, None, None, None]
        result = np.empty((len(maps), len(x), len(y), len(z)), dtype=np.float32)
        for start in range(0, len(slices), TOGETHER):
            some = slices[start : start + TOGETHER]
            low, high = int(np.floor(some[0])), int(np.ceil(some[-1])) + 1
            grid, (left, top) = self._side_by_side(maps[..., low:high] - shift, low)
            result[..., start : start + TOGETHER] = on_grid(grid, [x - left, y - top, some - low])
        result += shift
        return result

    def _side_by_side(self, slices: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        """Neighboring slices ``(channels, *size, n)`` where they lie on one grid, 0 around them; and its corner."""
        corners = self.corners[first : first + slices.shape[-1]]
        corner = corners.min(axis=0)
        size = np.ptp(corners, axis=0) + self.size
        grid = np.zeros((len(slices), *size, slices.shape[-1]), dtype=np.float32)
        for number, (x, y) in enumerate(corners - corner):
            grid[:, x : x + self.size[0], y : y + self.size[1], number] = slices[..., number]
        return grid, corner
