"""What tells left from right in a data set, so that its cases are no mirror images of others."""

import numpy as np

from gracile.plan.fingerprint import Fingerprint
from gracile.plan.rules import Rules
from gracile.recipe.sides import has_side, sided_pairs


def why_not_mirrored(found: Fingerprint, rules: Rules) -> str:
    """What tells the sides apart, as words; empty where nothing does, or where classes name both sides."""
    if sided_pairs(found.classes):
        return ""
    if any(has_side(name) for name in found.classes):
        return "a class names a side whose opposite is no class"
    if alike := _mirrored_by_place(found, rules):
        return f"{alike[0]} and {alike[1]} lie as mirror images of each other, and no name says so"
    if abs(offset := _offset(found)) > rules["mirror_offset"]:
        return f"the structures lie on one side, {abs(offset):.0%} of the field off its middle"
    return ""


def _centers(found: Fingerprint) -> np.ndarray:
    """``(classes, axes)`` mean middle of each class, as a share of the field; NaN for one that no case shows."""
    table = np.array([case.centers for case in found.shown])
    known = np.isfinite(table)
    return np.where(known.any(axis=0), np.where(known, table, 0).sum(axis=0) / np.maximum(1, known.sum(axis=0)), np.nan)


def _offset(found: Fingerprint) -> float:
    """Of the structures from the middle of the field along left and right, the mean over the cases."""
    return float(np.nanmean([np.nanmean(case.centers[:, found.left_right]) for case in found.shown])) - 0.5


def _mirrored_by_place(found: Fingerprint, rules: Rules) -> tuple[str, str] | None:
    """Two classes of which one lies where the other's mirror image would, and off the middle."""
    axis, centers = found.left_right, _centers(found)
    for a in range(len(centers)):
        for b in range(a):
            mirrored = centers[a].copy()
            mirrored[axis] = 1.0 - mirrored[axis]
            apart = abs(centers[a, axis] - centers[b, axis]) > 2 * rules["near_mirror"]
            if apart and np.linalg.norm(mirrored - centers[b]) < rules["near_mirror"]:
                return found.classes[b], found.classes[a]
    return None
