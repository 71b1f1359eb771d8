"""Which way the axes of a volume run, and turning one volume's axes into another's without interpolation."""

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
    """Axes in another order, some of them reversed.

    Args:
        axes: For each axis of the result the axis of the source that it was.
        reversed: For each axis of the result whether it runs the other way.
    """

    axes: tuple[int, int, int]
    reversed: tuple[bool, bool, bool]

    @property
    def is_identity(self) -> bool:
        """Whether it leaves everything as it is."""
        return self.axes == (0, 1, 2) and not any(self.reversed)

    def apply(self, array: np.ndarray) -> np.ndarray:
        """``(..., I, J, K)`` turned; a view of the same values."""
        lead = array.ndim - 3
        turned = array.transpose(*range(lead), *(lead + axis for axis in self.axes))
        return np.flip(turned, tuple(lead + axis for axis, back in enumerate(self.reversed) if back))


def axis_codes(affine: np.ndarray) -> str:
    """Where each axis runs to, as nibabel names it: ``LAS`` for left, anterior, superior.

    Of an oblique volume the nearest, each direction of the body being used once.
    """
    cosines = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    order = max(permutations(range(3)), key=lambda rows: sum(abs(cosines[row, axis]) for axis, row in enumerate(rows)))
    return "".join(_NAMES[row][int(cosines[row, axis] > 0)] for axis, row in enumerate(order))


def change_between(source: Grid, target: Grid, tolerance: float = TOLERANCE_VOXELS) -> AxisChange:
    """The change of axes that brings an array on the source's grid onto the target's, where both are one grid.

    Args:
        source: Grid of the array that is to be turned; three axes with an affine.
        target: Grid that it shall lie on.
        tolerance: How far apart corners may lie, in voxels of the target.

    Raises:
        GeometryError: The grids are not one grid with its axes in another order; the message says how they differ.
    """
    if source.affine is None or target.affine is None:
        raise GeometryError("Grids without an affine cannot be compared.")
    to_target = np.linalg.inv(target.affine) @ source.affine
    steps = np.rint(to_target[:3, :3])
    if (np.abs(steps).sum(axis=0) == 1).all() and (np.abs(steps).sum(axis=1) == 1).all():
        first, second, third = (int(axis) for axis in np.abs(steps).argmax(axis=1))
        axes = (first, second, third)
        back = (bool(steps[0, first] < 0), bool(steps[1, second] < 0), bool(steps[2, third] < 0))
        change = AxisChange(axes, back)
        fits = tuple(source.shape[axis] for axis in axes) == target.shape
        if fits and _farthest(source, to_target, change) <= tolerance:
            return change
    raise GeometryError(_difference(source.shape, source.affine, target.shape, target.affine))


def _farthest(source: Grid, to_target: np.ndarray, change: AxisChange) -> float:
    """How far, in voxels of the target, a corner of the source lies from where the change of axes puts it."""
    corners = np.array(list(product(*((0, size - 1) for size in source.shape))), dtype=float)
    lie = corners @ to_target[:3, :3].T + to_target[:3, 3]
    put = corners[:, change.axes]
    last = np.array([source.shape[axis] - 1 for axis in change.axes])
    put = np.where(change.reversed, last - put, put)
    return float(np.abs(lie - put).max())


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
