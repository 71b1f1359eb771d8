"""Protocol ``gated-segmentation``: masks of structures that many pictures do not show.

Where truth and mask are both empty Dice is 1, and a false alarm or a miss is 0: the rule of the ultrasound nerve
segmentation contest (Kaggle 2016). That mean is moved by how many pictures are empty, so that it is taken apart:

- ``dice_on_positives`` is Dice where the truth holds the structure, undefined elsewhere;
- ``false_alarm_rate`` is 1 where the truth is empty and something was painted, 0 where nothing was, undefined where the
  truth is not empty: its mean is the share of the empty pictures with a false alarm;
- ``miss_rate`` is 1 where the truth is not empty and nothing was painted, 0 where something was, undefined elsewhere;
- ``false_alarm_area`` is the painted area of a false alarm, undefined where there is none.

IoU and the surfaces are scored as by the protocol ``segmentation``, but where truth and mask are both empty there is no
normalized surface distance.

Each is given per structure. Over all structures, the last three
look at whether the picture shows any of them, and all other scores are the mean over structures.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.evaluation.metrics import CaseScores, samples_name
from gracile.evaluation.structures import TOLERANCE, mean_of_known, overlap_scores, structure_masks, surface_scores

OF_EMPTY_OR_NOT = ("dice_on_positives", "false_alarm_rate", "miss_rate")
"""Beginnings of the scores that are about some of the cases only."""


def score_case(
    truth: np.ndarray,
    prediction: np.ndarray,
    class_names: Sequence[str],
    *,
    region: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    spacing_mm: tuple[float, ...] | None = None,
    tolerance: float = TOLERANCE,
) -> CaseScores:
    """Score one picture or volume.

    Args:
        truth: ``(*spatial)`` class indices.
        prediction: As the truth.
        class_names: Names by index, the background first.
        region: ``(*spatial)`` bool; what lies outside counts as background. The whole picture when None.
        probabilities: Not used; here for all protocols to be called alike.
        spacing_mm: Distance between samples along each axis; areas are then in mm2 (volumes in mm3), else in pixels.
        tolerance: Of the normalized surface distance, in mm or, without a spacing, in samples.

    Raises:
        DataError: There is no class but the background.
    """
    if len(class_names) < 2:
        raise DataError("There is no class to score besides the background.", "Declare the classes.")
    if region is not None:
        truth, prediction = np.where(region, truth, 0), np.where(region, prediction, 0)
    unit = "px" if spacing_mm is None else f"mm{truth.ndim}"
    size = 1.0 if spacing_mm is None else float(np.prod(spacing_mm))
    rows: list[dict[str, Any]] = []
    of_means: list[str] = []
    masks = structure_masks(truth, prediction, len(class_names), None)
    for name, (true, found) in zip(class_names[1:], masks, strict=True):
        overlap, surfaces = overlap_scores(true, found), surface_scores(true, found, spacing_mm, tolerance)
        if not true.any():
            surfaces["normalized_surface_distance"] = 0.0 if found.any() else None
        of_positives = {"dice": overlap["dice"], "dice_on_positives": overlap["dice"] if true.any() else None}
        shared = {"iou": overlap["iou"], **surfaces}
        of_means = ["dice", "dice_on_positives", *shared]
        counted = {samples_name(true.ndim): overlap[samples_name(true.ndim)]}
        rows.append({"class": name, **counted, **of_positives, **_emptiness(true, found, size, unit), **shared})
    scores: dict[str, float | None] = {
        **{name: mean_of_known(rows, name) for name in of_means},
        **_emptiness(truth > 0, prediction > 0, size, unit),
    }
    for row in rows:
        scores |= {f"{name}_{row['class']}": row[name] for name in ("dice", *OF_EMPTY_OR_NOT)}
    return CaseScores(scores, rows)


def _emptiness(true: np.ndarray, found: np.ndarray, size: float, unit: str) -> dict[str, float | None]:
    """Whether a mask is rightly empty; ``size`` is that of a sample."""
    shown, painted = bool(true.any()), int(found.sum())
    return {
        "false_alarm_rate": None if shown else float(painted > 0),
        "miss_rate": float(painted == 0) if shown else None,
        f"false_alarm_area_{unit}": None if shown or not painted else painted * size,
    }
