"""The interpolations by torch that the ones on arrays are held against."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from gracile.transforms.column import Column
from gracile.transforms.volume import smoothed_for


def resized(array: np.ndarray, shape: tuple[int, int], whole_levels: bool = False) -> np.ndarray:
    """``(channels, height, width)`` in float64, or in uint8; antialiased where one of the axes shrinks.

    In float32 torch rounds the places of pixels, to a twentieth of a thousandth of the range in ordinary pictures.
    """
    if shape[1] == 1 < shape[0] and not whole_levels:  # torch repeats the first row of what becomes one pixel wide
        return resized(array.swapaxes(1, 2), (1, shape[0])).swapaxes(1, 2)
    shrinks = shape[0] < array.shape[1] or shape[1] < array.shape[2]
    pixels = torch.from_numpy(np.ascontiguousarray(array))
    pixels = pixels if whole_levels else pixels.double()
    answer = functional.interpolate(pixels[None], shape, mode="bilinear", align_corners=False, antialias=shrinks)
    return answer[0].numpy().astype(float)


def sample(volume: np.ndarray, points: np.ndarray) -> np.ndarray:
    """``(channels, x, y, z)`` at ``(a, b, c, 3)`` voxel positions, by `grid_sample` in float64."""
    size = torch.tensor(volume.shape[1:], dtype=torch.float64)
    grid = ((2.0 * torch.from_numpy(points).double() + 1.0) / size - 1.0).flip(-1)
    values = torch.from_numpy(volume).double()
    return functional.grid_sample(values[None], grid[None], align_corners=False, padding_mode="zeros")[0].numpy()


def on_grid(values: np.ndarray, axes: Sequence[np.ndarray]) -> np.ndarray:
    """All combinations of positions along the axes of a volume."""
    return sample(values, np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))


def cut_column(column: Column, volume: np.ndarray) -> np.ndarray:
    """The column's pixels read one by one from the part of the volume that is read for it, smoothed."""
    window = smoothed_for(volume[(slice(None), *column._wider)], column.steps)
    return sample(window, column.positions() - [part.start for part in column._wider])


def restored_column(column: Column, maps: np.ndarray, outside: Sequence[float]) -> np.ndarray:
    """Each voxel of the column's box from its two slices, each read at its own shift, and the answers mixed."""
    x, y, z = (np.arange(part.start, part.stop) / step for part, step in zip(column.box, column.steps, strict=True))
    slices = np.clip(z - column.first, 0, column.length - 1)
    low = np.floor(slices + 1e-6).astype(int)
    high = np.minimum(low + 1, column.length - 1)
    shift = np.asarray(outside)[:, None, None, None]

    def read(numbers: np.ndarray) -> np.ndarray:
        corners = column.corners[numbers]
        places = (
            x[:, None, None] - corners[None, None, :, 0],
            y[None, :, None] - corners[None, None, :, 1],
            numbers.astype(float)[None, None],
        )
        return sample(maps - shift, np.stack(np.broadcast_arrays(*places), axis=-1)) + shift

    far = np.clip(slices - low, 0.0, 1.0)
    return read(low) * (1.0 - far) + read(high) * far


def turned(volumes: torch.Tensor, degrees: float) -> torch.Tensor:
    """``(batch, channels, x, y, z)`` turned about the third axis, linearly; borders go on as they are."""
    batch, _, x, y, z = volumes.shape
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    long, wide = max(1, x - 1), max(1, y - 1)
    turn = volumes.new_tensor([[cosine, -sine * long / wide, 0.0], [sine * wide / long, cosine, 0.0]])
    slices = volumes.permute(0, 4, 1, 2, 3).flatten(0, 1)
    grid = functional.affine_grid(turn.expand(batch * z, 2, 3), list(slices.shape), align_corners=True)
    slices = functional.grid_sample(slices, grid, padding_mode="border", align_corners=True)
    return slices.unflatten(0, (batch, z)).permute(0, 2, 3, 4, 1)
