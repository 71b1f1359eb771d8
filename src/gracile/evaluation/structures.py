"""What the protocols of masks say of one structure in one case: overlap, surfaces, size."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from scipy import ndimage

from gracile.errors import UsageError
from gracile.evaluation.metrics import dice_of, samples_name
from gracile.evaluation.surfaces import Spacing, surface_gaps

Absent = Literal["leave-out", "count"]
"""What becomes of a structure that neither truth nor prediction has: left out of means, or counted as right."""

TOLERANCE = 1.0
"""Tolerance of the normalized surface distance where none is said: in mm, of pictures without a spacing in pixels."""

DISTANCES = ("hd95_", "mean_surface_distance_")
"""Beginnings of the names of distances, which exist where both sides have the structure."""

SIZE_ERRORS = ("volume_error_", "area_error_")
"""Beginnings of the names of errors of size."""


def require_tolerance(tolerance: float | None) -> float:
    """A tolerance, or the usual one. Raises UsageError where it is no distance."""
    if tolerance is None:
        return TOLERANCE
    if not 0 <= tolerance < np.inf:
        raise UsageError(f"A tolerance is a distance of 0 or more, not {tolerance}.", "Give it in mm, such as 1.")
    return float(tolerance)


def structure_masks(
    truth: np.ndarray, prediction: np.ndarray, count: int, region: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of each class but the background where it is truly and where it was found, within a box that holds both.

    Only the boxes are looked at class by class, so that many classes of a large volume cost little time and memory.

    Args:
        truth: ``(*spatial)`` class indices.
        prediction: As the truth.
        count: Number of classes, the background among them.
        region: ``(*spatial)`` bool; what lies outside counts as background. The whole case when None.
    """
    if region is not None:
        truth, prediction = np.where(region, truth, 0), np.where(region, prediction, 0)
    boxes = [ndimage.find_objects(labels, max_label=count - 1) for labels in (truth, prediction)]
    for index, both in enumerate(zip(*boxes, strict=True), start=1):
        known = [box for box in both if box is not None]
        box = tuple(slice(min(one.start for one in sides), max(one.stop for one in sides))
                    for sides in zip(*known, strict=True)) or (slice(0, 0),) * truth.ndim  # fmt: skip
        yield truth[box] == index, prediction[box] == index


def overlap_scores(true: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    """The structure's true size in samples, Dice and IoU (both empty count 1, a false alarm or a miss 0).

    Sensitivity and precision are None where nothing is true or nothing was found.
    """
    common, wanted, claimed = int((true & found).sum()), int(true.sum()), int(found.sum())
    union = wanted + claimed - common
    return {
        samples_name(true.ndim): wanted,
        "dice": dice_of(common, wanted, claimed),
        "iou": common / union if union else 1.0,
        "sensitivity": common / wanted if wanted else None,
        "precision": common / claimed if claimed else None,
    }


def surface_scores(true: np.ndarray, found: np.ndarray, spacing: Spacing, tolerance: float) -> dict[str, float | None]:
    """HD95, mean and normalized surface distance.

    Where only one side has the structure no distance is defined, and the normalized one is 0, as nothing lies within
    any tolerance; where neither has it that one is 1.
    """
    unit = "px" if spacing is None else "mm"
    gaps = surface_gaps(true, found, spacing)
    return {
        f"hd95_{unit}": gaps.hd95 if gaps else None,
        f"mean_surface_distance_{unit}": gaps.mean if gaps else None,
        "normalized_surface_distance": gaps.within(tolerance) if gaps else float(not true.any() and not found.any()),
    }


def size_errors(true: np.ndarray, found: np.ndarray, spacing: Spacing) -> dict[str, float | None]:
    """How much larger (or, below 0, smaller) than the truth the mask is.

    Of a volume in ml, of a picture in mm2 or pixels; and in percent of the truth, None where that is empty.
    """
    wanted, claimed = int(true.sum()), int(found.sum())
    name = "area" if true.ndim == 2 else "volume"
    unit, size = ("px", 1.0) if true.ndim == 2 else ("voxels", 1.0)
    if spacing is not None:
        unit, size = ("mm2", 1.0) if true.ndim == 2 else ("ml", 1e-3)
        size *= float(np.prod(spacing))
    return {
        f"{name}_error_{unit}": (claimed - wanted) * size,
        f"{name}_error_percent": 100 * (claimed - wanted) / wanted if wanted else None,
    }


def mean_of_known(rows: Sequence[dict[str, Any]], name: str) -> float | None:
    """Mean of a score over the rows in which it is defined."""
    known = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(known)) if known else None
