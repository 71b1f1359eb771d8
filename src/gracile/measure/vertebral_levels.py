"""Vertebral levels along the cord, as label volumes give them."""

import numpy as np

from gracile.errors import DataError
from gracile.geometry import Slices

_FEWEST = 0.5


def level_name(level: int) -> str:
    """``C1`` for 1 to ``L5`` for 24, as the PAM50 template numbers the levels.

    Source: De Leener et al., "PAM50: unbiased multimodal template of the brainstem and spinal cord", NeuroImage 165
    (2018) 170-179.
    """
    for letter, first, last in (("C", 1, 7), ("T", 8, 19), ("L", 20, 24), ("S", 25, 29)):
        if first <= level <= last:
            return f"{letter}{level - first + 1}"
    return str(level)


def slice_levels(levels: Slices, inside: Slices) -> list[int | None]:
    """The level of each slice: that of most labeled voxels inside the structure, else of most in the slice.

    Args:
        levels: Level of each voxel, 0 where there is none.
        inside: The structure on the same slices.

    Returns:
        The level of each slice, None where none is labeled.

    Raises:
        DataError: Other sizes, values that are no levels, or points instead of levels.
    """
    if levels.volume.shape != inside.volume.shape:
        raise DataError("The levels lie on another grid than the image.", "Give a label volume of the image's size.")
    found: list[int | None] = []
    for labels, member in zip(levels.volume, inside.volume, strict=True):
        own = labels[member > 0]
        some = own[own > 0] if (own > 0).any() else labels[labels > 0]
        if not len(some):
            found.append(None)
            continue
        values, counts = np.unique(some, return_counts=True)
        if (values != np.rint(values)).any():
            raise DataError(
                "The level labels are no whole numbers.", "They may have been interpolated: take the original."
            )
        found.append(int(values[counts.argmax()]))
    labeled = [index for index, level in enumerate(found) if level is not None]
    if not labeled:
        raise DataError("The level volume holds no level.", "Give one as the Spinal Cord Toolbox writes it.")
    if len(labeled) < _FEWEST * (labeled[-1] - labeled[0] + 1):
        raise DataError(
            "The level volume labels single points, not the levels between them.",
            "Give the labeled cord (in the Spinal Cord Toolbox: NAME_seg_labeled.nii.gz).",
        )
    return found
