"""Protocol ``segmentation``: overlap, surfaces and size of each structure, in pictures or volumes.

Dice, IoU and the normalized surface distance of a structure that only one side has are 0. A structure that neither
truth nor prediction has counts 1 in its own row, and is left out of the means of its case and of its class unless
these shall count it. Sensitivity and precision are undefined, and left out of means, where there is nothing true or
nothing predicted. Distances exist only where both sides have the structure; ``missed`` and ``false_alarms`` count the
cases where one side has not, so that missing everything cannot look good. They are in mm where the spacing is known, in
pixels otherwise, as their names say. Errors of size are the mask's size less the true one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.evaluation.metrics import CaseScores, samples_name
from gracile.evaluation.structures import (
    TOLERANCE,
    Absent,
    mean_of_known,
    overlap_scores,
    size_errors,
    structure_masks,
    surface_scores,
)

COUNTS = ("missed", "false_alarms", "absent")
"""Numbers of structures, and not scores of them."""


def score_case(
    truth: np.ndarray,
    prediction: np.ndarray,
    class_names: Sequence[str],
    *,
    region: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    spacing_mm: tuple[float, ...] | None = None,
    tolerance: float = TOLERANCE,
    absent: Absent = "leave-out",
) -> CaseScores:
    """Score one picture or volume.

    Args:
        truth: ``(*spatial)`` class indices.
        prediction: As the truth.
        class_names: Names by index, the background first.
        region: ``(*spatial)`` bool; what lies outside counts as background. The whole picture when None.
        probabilities: Not used; here for all protocols to be called alike.
        spacing_mm: Distance between samples along each axis, or None.
        tolerance: Of the normalized surface distance, in mm or, without a spacing, in samples.
        absent: What becomes of a structure that neither side has, in means.

    Raises:
        DataError: There is no class but the background.
    """
    if len(class_names) < 2:
        raise DataError("There is no class to score besides the background.", "Declare the classes.")
    masks = structure_masks(truth, prediction, len(class_names), region)
    rows = [
        {"class": name, **_structure(true, found, spacing_mm, tolerance)}
        for name, (true, found) in zip(class_names[1:], masks, strict=True)
    ]
    means = meant(rows, absent)
    left = ("class", samples_name(truth.ndim), *COUNTS)
    scores: dict[str, float | None] = {name: mean_of_known(means, name) for name in rows[0] if name not in left}
    scores |= {name: float(sum(row[name] for row in rows)) for name in COUNTS}
    scores |= {f"dice_{row['class']}": row["dice"] for row in means}
    return CaseScores(scores, rows)


def _structure(
    true: np.ndarray, found: np.ndarray, spacing: tuple[float, ...] | None, tolerance: float
) -> dict[str, Any]:
    there, claimed = bool(true.any()), bool(found.any())
    return {
        **overlap_scores(true, found),
        **surface_scores(true, found, spacing, tolerance),
        **size_errors(true, found, spacing),
        "missed": int(there and not claimed),
        "false_alarms": int(claimed and not there),
        "absent": int(not there and not claimed),
    }


def meant(rows: Sequence[dict[str, Any]], absent: Absent) -> list[dict[str, Any]]:
    """The rows as means take them: of a structure that neither side has no score, unless it is to count."""
    if absent == "count":
        return list(rows)
    kept = ("case", "run", "class", *COUNTS)
    return [
        {name: value if name in kept else None for name, value in row.items()} if row.get("absent") else row
        for row in rows
    ]
