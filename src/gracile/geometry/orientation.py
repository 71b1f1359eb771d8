"""Which way the axes of a volume run, and turning one volume's axes into another's without interpolation."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from gracile.errors import GeometryError
from gracile.geometry.grid import Grid

TOLERANCE_VOXELS = 0.1
"""How far apart, in voxels, the corners of two grids may lie that count as one."""

_NAMES = ("LR", "PA", "IS")


@dataclass(frozen=True)
class AxisChange:
    """Axes in another order, some of them reversed, and a part put in its place on a lattice.

    Args:
        axes: For each axis of the result the axis of the source that it was.
        reversed: For each axis of the result whether it runs the other way.
        start: Where the first voxel of what was turned lies in the result; below 0 what comes before is cut off.
        shape: Of the result, where it is another than that of what was turned.
    """

    axes: tuple[int, int, int]
    reversed: tuple[bool, bool, bool]
    start: tuple[int, int, int] = (0, 0, 0)
    shape: tuple[int, int, int] | None = None

    @property
    def is_turn(self) -> bool:
        """Whether axes are turned."""
        return self.axes != (0, 1, 2) or any(self.reversed)

    def apply(self, array: np.ndarray) -> np.ndarray:
        """``(..., I, J, K)`` turned, a view of the same values; where it is put in a place, a copy with 0 around it."""
        lead = array.ndim - 3
        turned = array.transpose(*range(lead), *(lead + axis for axis in self.axes))
        turned = np.flip(turned, tuple(lead + axis for axis, back in enumerate(self.reversed) if back))
        if self.shape is None:
            return turned
        placed = np.zeros((*turned.shape[:lead], *self.shape), turned.dtype)
        sides = list(zip(self.start, turned.shape[lead:], self.shape, strict=True))
        inside = [slice(max(start, 0), min(start + size, whole)) for start, size, whole in sides]
        taken = [slice(max(-start, 0), min(size, whole - start)) for start, size, whole in sides]
        leading = [slice(None)] * lead
        placed[tuple(leading + inside)] = turned[tuple(leading + taken)]
        return placed


def axis_codes(affine: np.ndarray) -> str:
    """Where each axis runs to, as nibabel names it: ``LAS`` for left, anterior, superior.

    Of an oblique volume the nearest, each direction of the body being used once.
    """
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    order = max(permutations(range(3)), key=lambda rows: sum(abs(cosines[row, axis]) for axis, row in enumerate(rows)))
    return "".join(_NAMES[row][int(cosines[row, axis] > 0)] for axis, row in enumerate(order))


def change_between(source: Grid, target: Grid, tolerance: float = TOLERANCE_VOXELS) -> AxisChange:
    """The change of axes that brings an array on the source's grid onto the target's, where both are one lattice.

    A part of it, cropped or padded, is put in its place: along each axis one of the two lies within the other. Grids of
    one size lie in one place.

    Args:
        source: Grid of the array that is to be turned; three axes with an affine.
        target: Grid that it shall lie on.
        tolerance: How far apart corners may lie, in voxels of the target.

    Raises:
        GeometryError: The grids are not of one lattice, or one is shifted; the message says how they differ.
    """
    if source.affine is None or target.affine is None:
        raise GeometryError("Grids without an affine cannot be compared.")
    to_target = np.linalg.inv(target.affine) @ source.affine
    steps = np.rint(to_target[:3, :3])
    if (np.abs(steps).sum(axis=0) == 1).all() and (np.abs(steps).sum(axis=1) == 1).all():
        first, second, third = (int(axis) for axis in np.abs(steps).argmax(axis=1))
        axes = (first, second, third)
        back = (bool(steps[0, first] < 0), bool(steps[1, second] < 0), bool(steps[2, third] < 0))
        size = np.array(source.shape)[list(axes)]
        corner = np.zeros(3)  # of the source, that comes first in the result
        corner[list(axes)] = np.where(back, size - 1, 0)
        start = np.rint(to_target[:3, :3] @ corner + to_target[:3, 3]).astype(int)
        within = (start >= 0) & (start + size <= target.shape)
        around = (start <= 0) & (start + size >= target.shape)
        placed = tuple(size.tolist()) != target.shape
        change = AxisChange(axes, back, _three(start), _three(target.shape) if placed else None)
        if (within | around).all() and _farthest(source, to_target, change) <= tolerance:
            return change
    raise GeometryError(_difference(source.shape, source.affine, target.shape, target.affine))


def _farthest(source: Grid, to_target: np.ndarray, change: AxisChange) -> float:
    """How far, in voxels of the target, a corner of the source lies from where the change of axes puts it."""
    corners = np.array(list(product(*((0, size - 1) for size in source.shape))), dtype=float)
    lie = corners @ to_target[:3, :3].T + to_target[:3, 3]
    put = corners[:, change.axes]
    last = np.array([source.shape[axis] - 1 for axis in change.axes])
    put = np.where(change.reversed, last - put, put) + change.start
    return float(np.abs(lie - put).max())


def _three(numbers: Sequence[int] | np.ndarray) -> tuple[int, int, int]:
    first, second, third = (int(number) for number in numbers)
    return first, second, third


def _difference(shape: tuple[int, ...], affine: np.ndarray, wanted: tuple[int, ...], onto: np.ndarray) -> str:
    """In what two grids differ, the most telling first, in words."""
    if sorted(shape) != sorted(wanted):
        return f"it has {_times(shape)} voxels, not {_times(wanted)}"
    sizes, wanted_sizes = (tuple(np.linalg.norm(one[:3, :3], axis=0).tolist()) for one in (affine, onto))
    if not np.allclose(sorted(sizes), sorted(wanted_sizes), rtol=0.01):
        return f"its voxels are {_times(sizes)} mm, not {_times(wanted_sizes)} mm"
    middle, wanted_middle = (
        one[:3, :3] @ ((np.array(size) - 1) / 2) + one[:3, 3] for one, size in ((affine, shape), (onto, wanted))
    )
    apart = float(np.linalg.norm(middle - wanted_middle))
    if apart > TOLERANCE_VOXELS * min(wanted_sizes):
        return f"its middle lies {apart:.1f} mm away"
    return f"its axes ({axis_codes(affine)}) stand at another angle than the other's ({axis_codes(onto)})"


def _times(numbers: tuple[int, ...] | tuple[float, ...]) -> str:
    return " x ".join(f"{number:.4g}" if isinstance(number, float) else str(number) for number in numbers)
