"""Along which axis volumes are a stack of slices; stages look along the third one."""

from typing import TYPE_CHECKING

import numpy as np

from gracile.plan.rules import Rules
from gracile.plan.slender import is_slender

if TYPE_CHECKING:
    from gracile.plan.fingerprint import Fingerprint


def slice_axis(found: "Fingerprint", rules: Rules) -> int | None:
    """The axis along which samples lie far apart, or else are few; None where volumes are no stacks of slices."""
    spacing, shape = found.spacing, found.shape
    worst = int(np.argmax(spacing))
    if spacing[worst] >= rules["anisotropy"] * np.delete(spacing, worst).max():
        return worst
    shortest = min(range(3), key=lambda axis: (shape[axis], -axis))
    return shortest if shape[shortest] < rules["fewest_slices"] else None


def slices_last(found: "Fingerprint", rules: Rules) -> "Fingerprint":
    """The same with the slices of volumes along the third axis; what is followed along its line stays as it is."""
    if found.kind != "volume" or found.landmarks.size or is_slender(found, rules):
        return found
    axis = slice_axis(found, rules)
    if axis is None or axis == 2:
        return found
    return found.turned([*(other for other in range(3) if other != axis), axis])
