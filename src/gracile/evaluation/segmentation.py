"""Protocol ``segmentation``: overlap and surface distance of each structure, in pictures or volumes.

Dice and IoU of a structure that neither truth nor prediction has count 1; a false alarm counts 0. Sensitivity and
precision are undefined, and left out of means, where there is nothing true or nothing predicted. Distances exist only
where both sides have the structure; ``missed`` and ``false_alarms`` count the cases where one side has not, so that
missing everything cannot look good. They are in mm where the spacing is known, in pixels otherwise, as their names say.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.evaluation.metrics import CaseScores, dice, samples_name, surface_distances


def score_case(
    truth: np.ndarray,
    prediction: np.ndarray,
    class_names: Sequence[str],
    *,
    region: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    spacing_mm: tuple[float, ...] | None = None,
) -> CaseScores:
    """Score one picture or volume.

    Args:
        truth: ``(*spatial)`` class indices.
        prediction: As the truth.
        class_names: Names by index, the background first.
        region: ``(*spatial)`` bool; what lies outside counts as background. The whole picture when None.
        probabilities: Not used; here for all protocols to be called alike.
        spacing_mm: Distance between samples along each axis, or None.

    Raises:
        DataError: There is no class but the background.
    """
    if len(class_names) < 2:
        raise DataError("There is no class to score besides the background.", "Declare the classes.")
    unit = "px" if spacing_mm is None else "mm"
    rows: list[dict[str, Any]] = []
    for index, name in enumerate(class_names[1:], start=1):
        true, found = truth == index, prediction == index
        if region is not None:
            true, found = true & region, found & region
        rows.append({"class": name, **_score_structure(true, found, spacing_mm, unit)})
    scores: dict[str, float | None] = {}
    for name in ("dice", "iou", "sensitivity", "precision", f"hd95_{unit}", f"mean_surface_distance_{unit}"):
        defined = [row[name] for row in rows if row[name] is not None]
        scores[name] = float(np.mean(defined)) if defined else None
    for name in ("missed", "false_alarms"):
        scores[name] = float(sum(row[name] for row in rows))
    scores |= {f"dice_{row['class']}": row["dice"] for row in rows}
    return CaseScores(scores, rows)


def _score_structure(
    true: np.ndarray, found: np.ndarray, spacing_mm: tuple[float, ...] | None, unit: str
) -> dict[str, Any]:
    common, wanted, claimed = int((true & found).sum()), int(true.sum()), int(found.sum())
    union = wanted + claimed - common
    distances = surface_distances(true, found, spacing_mm)
    return {
        samples_name(true.ndim): wanted,
        "dice": dice(true, found),
        "iou": common / union if union else 1.0,
        "sensitivity": common / wanted if wanted else None,
        "precision": common / claimed if claimed else None,
        f"hd95_{unit}": distances[0] if distances else None,
        f"mean_surface_distance_{unit}": distances[1] if distances else None,
        "missed": int(wanted > 0 and claimed == 0),
        "false_alarms": int(wanted == 0 and claimed > 0),
    }
