"""Volumes: axes turned to one orientation and back, and copies on grids of other spacing."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from gracile.errors import GeometryError
from gracile.geometry import Grid, axis_codes

AT_ONCE = 4_000_000
"""Voxels that are interpolated at once."""


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
    axes = [torch.arange(n, dtype=torch.float32) * float(step)
            for n, step in zip(resampled_shape(array.shape[1:], steps), steps, strict=True)]  # fmt: skip
    return _on_grid(torch.from_numpy(result), axes), steps


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
    axes = [torch.arange(n, dtype=torch.float32) / float(step) for n, step in zip(shape, steps, strict=True)]
    axes = [axis.clamp(max=n - 1) for axis, n in zip(axes, maps.shape[1:], strict=True)]
    shift = np.asarray(outside, dtype=np.float32)[:, None, None, None]
    whole = _on_grid(torch.from_numpy(maps - shift), axes)
    whole += shift
    return whole


def _on_grid(values: torch.Tensor, axes: Sequence[torch.Tensor]) -> np.ndarray:
    """``(channels, x, y, z)`` at all combinations of positions along the axes, linearly."""
    shape = tuple(len(axis) for axis in axes)
    whole = np.empty((len(values), *shape), dtype=np.float32)
    slab = max(1, AT_ONCE // (shape[1] * shape[2]))  # places take many times the memory of a map
    for start in range(0, shape[0], slab):
        part = slice(start, start + slab)
        points = torch.stack(torch.meshgrid(axes[0][part], *axes[1:], indexing="ij"), dim=-1)
        whole[:, part] = sample(values, points).numpy()
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


def sample(volume: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Linear interpolation at voxel positions; outside, the value 0.

    Args:
        volume: ``(channels, x, y, z)`` float32.
        points: ``(a, b, c, 3)`` positions in voxels of the volume.

    Returns:
        ``(channels, a, b, c)`` float32.
    """
    size = torch.tensor(volume.shape[1:], dtype=torch.float32)
    # Voxel centers in the convention of align_corners=False; grid_sample wants the last axis first.
    normalized = ((2.0 * points + 1.0) / size - 1.0).flip(-1)
    return functional.grid_sample(volume[None], normalized[None], align_corners=False, padding_mode="zeros")[0]
