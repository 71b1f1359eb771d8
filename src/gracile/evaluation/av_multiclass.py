"""Protocol ``av-multiclass``: arteries, veins and crossings of the retina, as published multi-class work scores them.

Per image and inside the field of view, artery, vein and class 3 (crossing or uncertain) are scored one against the
rest, and the scores averaged by each class's number of true pixels in the whole image (a label may reach beyond the
field of view: DRIVE 08 does); the figure of a set is the mean over its images. An undefined score counts 0.

- ``mse`` is that of the hard decision, 1 - accuracy; ``brier`` is the mean squared error of the probabilities.
- ``auc_hard`` is (sensitivity + specificity) / 2, which papers print as AUC-ROC; ``auc_roc`` and ``auc_pr`` are the
  real areas, from probabilities.
- ``dice_artery_tree`` and ``dice_vein_tree`` count class 3 in both trees, of the truth and of the prediction. With
  ``_without_3`` the pixels that the *truth* calls class 3 are left out; a predicted 3 elsewhere still claims both
  trees, so that answering 3 excuses nothing.
- ``betti0_error`` and ``betti1_error`` are differences of the numbers of pieces and loops, of both trees together;
  ``wrong_tree_length`` is the share of the true trees' length, as far as it was found, that is in the other tree, and
  ``swaps_per_100`` counts segments that mostly are; see `gracile.evaluation.topology`.
- ``av_accuracy`` is the share of right answers over the pixels that both truth and prediction call artery or vein,
  ``av_sensitivity`` that of arteries, ``av_specificity`` that of veins; ``av_found`` is the share of the true artery
  and vein pixels that this is about.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.evaluation.metrics import CaseScores, auc, cl_dice, confusion, counts_of, dice_of, share, weighted
from gracile.evaluation.topology import betti_errors, wrong_tree

ARTERY, VEIN, BOTH = 1, 2, 3
TREES = {"artery_tree": (ARTERY, BOTH), "vein_tree": (VEIN, BOTH)}


def score_case(
    truth: np.ndarray,
    prediction: np.ndarray,
    class_names: Sequence[str],
    *,
    region: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    spacing_mm: tuple[float, ...] | None = None,
) -> CaseScores:
    """Score one image.

    Args:
        truth: ``(height, width)`` class indices 0 to 3.
        prediction: As the truth.
        class_names: Names of background, artery, vein and crossing, in this order.
        region: ``(height, width)`` bool field of view; this protocol is not defined without it.
        probabilities: ``(4, height, width)``, or None.
        spacing_mm: Not used; here for all protocols to be called alike.

    Raises:
        DataError: Not four classes, no or an empty field of view, or no true vessel in it.
    """
    if len(class_names) != 4:
        raise DataError(
            f"Protocol av-multiclass scores four classes, not {len(class_names)}.",
            "Use background, artery, vein and crossing, or the protocol `segmentation`.",
        )
    if region is None or not region.any():
        raise DataError("Protocol av-multiclass needs a field of view that is not empty.", "Give it with --fov.")
    matrix = confusion(truth[region], prediction[region], 4)
    pixels = np.bincount(truth.ravel(), minlength=4)[1:]
    if not matrix[1:].any():
        raise DataError("The truth has no artery, vein or crossing inside the field of view.", "Check the label.")
    weights = pixels / pixels.sum()
    rows: list[dict[str, Any]] = []
    for index in (ARTERY, VEIN, BOTH):
        row = counts_of(matrix, index).scores()
        row["mse"] = 1 - row["accuracy"]
        row["auc_hard"] = (row["sensitivity"] + row["specificity"]) / 2
        if probabilities is not None:
            row |= _soft_scores(truth[region] == index, probabilities[index][region])
        size = {"pixels": int(pixels[index - 1]), "weight": float(weights[index - 1])}
        rows.append({"class": class_names[index], **size, **row})
    names = [name for name in rows[0] if name not in ("class", "pixels", "weight")]
    scores: dict[str, float | None] = {name: weighted(rows, weights, name) for name in names}
    scores |= {f"f1_{row['class']}": row["f1"] for row in rows}
    scores |= _tree_scores(truth, prediction, region, matrix)
    scores |= _artery_or_vein(matrix)
    scores |= _together(np.where(region, truth, 0), np.where(region, prediction, 0))
    return CaseScores(scores, rows)


def _soft_scores(positive: np.ndarray, probability: np.ndarray) -> dict[str, float]:
    roc, precision_recall = auc(positive, probability)
    error = probability.astype(np.float32)
    error -= positive
    return {"brier": float(np.square(error).mean(dtype=np.float64)), "auc_roc": roc, "auc_pr": precision_recall}


def _tree_scores(truth: np.ndarray, prediction: np.ndarray, region: np.ndarray, matrix: np.ndarray) -> dict[str, float]:
    scores = {}
    for name, members in TREES.items():
        of_tree = list(members)
        claimed = matrix[:, of_tree].sum(axis=1)  # predicted as this tree, by true class
        wanted = matrix.sum(axis=1)[of_tree]
        scores[f"dice_{name}"] = dice_of(claimed[of_tree].sum(), wanted.sum(), claimed.sum())
        scores[f"dice_{name}_without_3"] = dice_of(claimed[of_tree[0]], wanted[0], claimed[:BOTH].sum())
        true_tree, found_tree = (np.isin(labels, members) & region for labels in (truth, prediction))
        scores[f"cldice_{name}"] = cl_dice(true_tree, found_tree)
    return {name: float(value) for name, value in scores.items()}


def _together(truth: np.ndarray, prediction: np.ndarray) -> dict[str, float | None]:
    errors = [betti_errors(np.isin(truth, members), np.isin(prediction, members)) for members in TREES.values()]
    wrong, swaps = wrong_tree(truth, prediction, (ARTERY, VEIN))
    pieces, loops = (float(sum(parts)) for parts in zip(*errors, strict=True))
    return {"betti0_error": pieces, "betti1_error": loops, "wrong_tree_length": wrong, "swaps_per_100": swaps}


def _artery_or_vein(matrix: np.ndarray) -> dict[str, float]:
    found = matrix[ARTERY:BOTH, ARTERY:BOTH]
    return {
        "av_accuracy": share(np.trace(found), found.sum()),
        "av_sensitivity": share(found[0, 0], found[0].sum()),
        "av_specificity": share(found[1, 1], found[1].sum()),
        "av_found": share(found.sum(), matrix[ARTERY:BOTH].sum()),
    }
