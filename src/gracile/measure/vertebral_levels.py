"""Vertebral levels along the cord, as label volumes give them."""

import numpy as np

from gracile.errors import DataError, UsageError
from gracile.geometry import Slices

_FEWEST = 0.5
_SECTIONS = (("C", 1, 7), ("T", 8, 19), ("L", 20, 24), ("S", 25, 29))
"""Letter, first and last number of each part of the spine."""


def level_name(level: int) -> str:
    """``C1`` for 1 to ``L5`` for 24, as the PAM50 template numbers the levels.

    Source: De Leener et al., "PAM50: unbiased multimodal template of the brainstem and spinal cord", NeuroImage 165
    (2018) 170-179.
    """
    for letter, first, last in _SECTIONS:
        if first <= level <= last:
            return f"{letter}{level - first + 1}"
    return str(level)


def level_range(text: str) -> tuple[int, int]:
    """The first and the last level of a range such as ``C2:C3``, ``2:3`` or ``C4``, from the head down.

    Raises:
        UsageError: A level does not exist, or the lower one comes first.
    """
    first, _, last = text.partition(":")
    numbers = _level_number(first), _level_number(last or first)
    if numbers[0] > numbers[1]:
        low, high = (level_name(number) for number in numbers)
        raise UsageError(f"{low} lies below {high}.", f"Name the upper level first: {high}:{low}.")
    return numbers


def _level_number(text: str) -> int:
    """The number of a level by its name or its number. Raises UsageError."""
    names = {level_name(number): number for _, first, last in _SECTIONS for number in range(first, last + 1)}
    level = text.strip().upper()
    number = int(level) if level.isdecimal() else names.get(level, 0)
    if number not in names.values():
        ranges = ", ".join(f"{level_name(first)} to {level_name(last)}" for _, first, last in _SECTIONS)
        raise UsageError(f"There is no vertebral level {text!r}.", f"Write a range as C2:C3; there are {ranges}.")
    return number


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
