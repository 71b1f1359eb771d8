"""A volume on the grid of another one of the same patient."""

import numpy as np
from scipy.ndimage import affine_transform

from gracile.errors import GeometryError
from gracile.geometry import Grid, change_between
from gracile.transforms.volume import smoothed_for


def onto_grid(volume: np.ndarray, source: Grid, target: Grid) -> tuple[np.ndarray, float]:
    """A volume on another grid, by both affines: turned where that is enough, else interpolated linearly.

    Where the other grid is coarser, it is smoothed before, so that nothing finer aliases. A place is inside of the
    volume when it lies in one of its voxels, half a voxel beyond the outer centers included.

    Args:
        volume: ``(x, y, z)`` on the source's grid.
        source: Its grid, with an affine.
        target: The grid it shall lie on, likewise.

    Returns:
        ``(x', y', z')`` float32 on the target's grid, 0 outside of the volume; and the share of the target's voxels
        that lie outside of it, from 0 to 1.
    """
    assert source.affine is not None
    assert target.affine is not None
    try:
        change = change_between(source, target)
    except GeometryError:
        change = None
    if change is not None and change.shape is None:
        return np.ascontiguousarray(change.apply(volume), dtype=np.float32), 0.0
    to_source = np.linalg.inv(source.affine) @ target.affine
    smooth = smoothed_for(volume[None], np.abs(to_source[:3, :3]).max(axis=1))[0]
    values = affine_transform(
        smooth, to_source[:3, :3], to_source[:3, 3], output_shape=target.shape, output=np.float32, order=1,
        mode="nearest",
    )  # fmt: skip
    inside = 0
    rows, columns = (np.arange(length, dtype=np.float32) for length in target.shape[1:])
    for index, part in enumerate(values):  # a slab at a time: places of all voxels would take many times their memory
        within = np.ones(part.shape, dtype=bool)
        for (along, down, across, offset), length in zip(to_source[:3], source.shape, strict=True):
            place = (along * index + offset) + (down * rows)[:, None] + across * columns
            within &= (place >= -0.5 - _EDGE) & (place <= length - 0.5 + _EDGE)
        part[~within] = 0.0
        inside += int(within.sum())
    return values, 1.0 - inside / values.size


_EDGE = 1e-3
"""In voxels: how far beyond its outer faces a place counts as inside of a volume, against rounding."""
