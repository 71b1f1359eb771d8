"""Drawn volumes for tests: tubes of known course, in any order of axes."""

from collections.abc import Callable
from itertools import permutations, product

import numpy as np

ORIENTATIONS = ["".join(axes) for order in permutations(("LR", "PA", "IS")) for axes in product(*order)]
"""All 48 ways in which the axes of a file can run, as nibabel names them."""


def oriented(ras: np.ndarray, affine: np.ndarray, code: str) -> tuple[np.ndarray, np.ndarray]:
    """A volume in RAS with its affine, turned to other axes without moving in the patient."""
    pairs = ["LR", "PA", "IS"]
    order = [next(world for world, pair in enumerate(pairs) if letter in pair) for letter in code]
    volume, turned = ras.transpose(order), affine[:, [*order, 3]].copy()
    for axis, (letter, world) in enumerate(zip(code, order, strict=True)):
        if letter == pairs[world][0]:
            volume = np.flip(volume, axis)
            turned[:, 3] += turned[:, axis] * (volume.shape[axis] - 1)
            turned[:, axis] *= -1
    return volume, turned


def tube(
    shape: tuple[int, int, int],
    affine: np.ndarray,
    center: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
    inside: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    finer: int = 5,
) -> np.ndarray:
    """Share of each voxel of a RAS volume that lies in a tube.

    Args:
        shape: Of the volume.
        affine: Voxels to RAS+ mm.
        center: Gives the middle (x, y) for heights z, in mm.
        inside: Whether places at (x, y) from the middle at height z are in the tube.
        finer: Samples per voxel and axis.
    """
    parts = (np.arange(finer) + 0.5) / finer - 0.5
    total = np.zeros(shape)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    for offset in product(parts, repeat=3):
        x, y, z = np.moveaxis((index + np.array(offset)) @ affine[:3, :3].T + affine[:3, 3], -1, 0)
        middle_x, middle_y = center(z)
        total += inside(x - middle_x, y - middle_y, z)
    return total / finer**3
