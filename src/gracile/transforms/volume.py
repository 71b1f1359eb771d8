"""Volumes: axes turned to one orientation and back, and copies on grids of other spacing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from gracile.errors import GeometryError
from gracile.geometry import Grid, axis_codes
from gracile.transforms.separable import on_grid

AT_ONCE = 100_000
"""Places that are sampled at once: what is computed for each takes many times the memory of its value."""


@dataclass(frozen=True)
class Orientation:
    """How the axes of a volume are turned and mirrored; no voxel is changed.

    Args:
        grid: Grid of the input.
        oriented: Grid after turning.
        forward: nibabel's orientation array from the input's axes to the turned ones.
    """

    grid: Grid
    oriented: Grid
    forward: np.ndarray

    @classmethod
    def to(cls, codes: str, grid: Grid) -> "Orientation":
        """The turn that brings a grid's axes nearest to ``codes``, such as ``LAS``, each naming where an axis runs to.

        Raises:
            GeometryError: The grid has no affine, is no volume, or two of its axes run the same way.
        """
        if grid.affine is None or len(grid.shape) != 3:
            raise GeometryError("A volume needs three axes and an affine.", "Export it with its geometry.")
        if not np.linalg.norm(grid.affine[:3, :3], axis=0).all():
            raise GeometryError("The affine of the volume has an axis without length.", "Export it again.")
        from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform  # slow, and not for pictures

        # By the rule that slices are seen by: nibabel's own differs on volumes tilted by 45 degrees and more.
        forward = ornt_transform(axcodes2ornt(axis_codes(grid.affine)), axcodes2ornt(codes))
        shape = tuple(int(grid.shape[i]) for i in np.argsort(forward[:, 0]))
        affine = grid.affine @ inv_ornt_aff(forward, grid.shape)
        return cls(grid, Grid(shape, affine=affine), forward)

    def apply(self, array: np.ndarray) -> np.ndarray:
        """``(channels, *input)`` or ``(*input)`` to the turned axes."""
        return self._turn(array, self.forward)

    def restore(self, array: np.ndarray) -> np.ndarray:
        """``(channels, *oriented)`` or ``(*oriented)`` back to the input's axes."""
        back = np.empty_like(self.forward)
        for source, (target, flip) in enumerate(self.forward):
            back[int(target)] = (source, flip)
        return self._turn(array, back)

    def _turn(self, array: np.ndarray, turn: np.ndarray) -> np.ndarray:
        from nibabel.orientations import apply_orientation

        if array.ndim == 3:
            return np.ascontiguousarray(apply_orientation(array, turn))
        return np.stack([apply_orientation(part, turn) for part in array])


def resample_to_spacing(
    array: np.ndarray, spacing_mm: np.ndarray, target_mm: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Another spacing, smoothed before it is made coarser; the first voxel's center stays where it is.

    Args:
        array: ``(channels, x, y, z)``.
        spacing_mm: Of the array.
        target_mm: Wanted; 0 leaves an axis as it is.

    Returns:
        ``(channels, x', y', z')`` float32, and the ``(3,)`` voxels of the input that one of the output stands for.
    """
    steps = steps_to(target_mm, spacing_mm)
    result = smoothed_for(array, steps)
    if np.allclose(steps, 1.0):
        return result, np.ones(3)
    axes = [np.arange(n) * step for n, step in zip(resampled_shape(array.shape[1:], steps), steps, strict=True)]
    return on_grid(result, axes), steps


def steps_to(target_mm: Sequence[float], spacing_mm: np.ndarray) -> np.ndarray:
    """``(3,)`` voxels that one of a wanted spacing stands for; 0 leaves an axis as it is."""
    return np.array([t / s if t else 1.0 for s, t in zip(spacing_mm, target_mm, strict=True)])


def resampled_shape(shape: Sequence[int], steps: np.ndarray) -> tuple[int, ...]:
    """Of what takes every ``steps``-th voxel of a volume, from its first one on."""
    return tuple(int(np.floor((n - 1) / step + 1e-6)) + 1 for n, step in zip(shape, steps, strict=True))


def restore_spacing(
    maps: np.ndarray, steps: np.ndarray, shape: tuple[int, ...], outside: Sequence[float]
) -> np.ndarray:
    """Maps on a grid of `resample_to_spacing` back on the voxels it was made from, linearly.

    Args:
        maps: ``(channels, x', y', z')`` float32.
        steps: ``(3,)`` voxels that one of the maps stands for.
        shape: Of the volume.
        outside: Value of each channel beyond the maps.

    Returns:
        ``(channels, x, y, z)`` float32.
    """
    if np.allclose(steps, 1.0):
        return maps
    axes = [np.minimum(np.arange(n) / step, m - 1) for n, step, m in zip(shape, steps, maps.shape[1:], strict=True)]
    shift = np.asarray(outside, dtype=np.float32)[:, None, None, None]
    whole = on_grid(maps - shift, axes)
    whole += shift
    return whole


def smoothed_for(array: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """``(channels, x, y, z)`` float32 smoothed for taking every ``steps``-th voxel: what is finer would alias.

    A Gaussian takes the voxels' own profile to that of the coarser ones: its variance is the difference of two boxes'.
    """
    sigmas = anti_alias_sigmas(steps)
    if not sigmas.any():
        return array.astype(np.float32)
    return np.stack([gaussian_filter(part.astype(np.float32), sigmas, mode="nearest") for part in array])


def anti_alias_sigmas(steps: np.ndarray) -> np.ndarray:
    """``(3,)`` deviations in voxels of the Gaussian of `smoothed_for`."""
    return np.sqrt(np.maximum(0.0, steps**2 - 1.0) / 12.0)


def sample(volume: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Linear interpolation at voxel positions; outside, the value 0.

    Args:
        volume: ``(channels, x, y, z)``.
        points: ``(a, b, c, 3)`` positions in voxels of the volume.

    Returns:
        ``(channels, a, b, c)`` float32.
    """
    size = np.array(volume.shape[1:])
    # One voxel of zeros around it: what lies farther out is clipped to there.
    padded = np.zeros((len(volume), *(size + 2)), dtype=np.float32)
    padded[:, 1:-1, 1:-1, 1:-1] = volume
    flat, places = padded.reshape(len(volume), -1), points.reshape(-1, 3)
    result = np.empty((len(volume), len(places)), dtype=np.float32)
    for start in range(0, len(places), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        result[:, part] = _between(flat, size, places[part])
    return result.reshape(len(volume), *points.shape[:-1])


def _between(flat: np.ndarray, size: np.ndarray, places: np.ndarray) -> np.ndarray:
    """``(channels, n)`` of padded volumes ``(channels, voxels)`` of a size at ``(n, 3)`` places."""
    strides = (int((size[1] + 2) * (size[2] + 2)), int(size[2] + 2), 1)
    corner = np.zeros(len(places), dtype=np.intp)
    shares = []
    for position, length, stride in zip(places.T, size, strides, strict=True):
        position = np.clip(position, -1, length)
        low = np.minimum(np.floor(position), length - 1)
        shares.append((position - low).astype(np.float32))
        corner += (low.astype(np.intp) + 1) * stride
    x, y, z = shares
    result = np.empty((len(flat), len(places)), dtype=np.float32)
    for number, values in enumerate(flat):
        edges = []
        for offset in (0, strides[1], strides[0], strides[0] + strides[1]):
            near = values.take(corner + offset)
            edges.append(near + (values.take(corner + (offset + 1)) - near) * z)
        low, high = (edges[i] + (edges[i + 1] - edges[i]) * y for i in (0, 2))
        result[number] = low + (high - low) * x
    return result
