"""Scores of one structure in one case, each with its rule for what is undefined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from gracile.errors import DataError, needs
from gracile.geometry.thinning import thinned


@dataclass
class CaseScores:
    """What a protocol says of one case.

    Args:
        scores: Score by name; None where it is undefined.
        classes: One row of scores per class, with ``class`` as its name.
    """

    scores: dict[str, float | None]
    classes: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Counts:
    """One-vs-rest counts of pixels or voxels."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    def scores(self) -> dict[str, float]:
        """Accuracy, sensitivity, specificity, precision, F1 and IoU; an undefined one (nothing to divide by) is 0."""
        tp, fp, fn, tn = self.true_positive, self.false_positive, self.false_negative, self.true_negative
        return {
            "accuracy": share(tp + tn, tp + fp + fn + tn),
            "sensitivity": share(tp, tp + fn),
            "specificity": share(tn, tn + fp),
            "precision": share(tp, tp + fp),
            "f1": share(2 * tp, 2 * tp + fp + fn),
            "iou": share(tp, tp + fp + fn),
        }


def samples_name(dimensions: int) -> str:
    """What the samples of a picture or of a volume are called."""
    return "pixels" if dimensions == 2 else "voxels"


def share(part: float, whole: float) -> float:
    """``part / whole``, and 0 when there is no whole."""
    return float(part) / float(whole) if whole else 0.0


def confusion(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """``(classes, classes)`` counts, row the true class, column the predicted one, from index arrays of one shape."""
    joint = truth.ravel().astype(np.intp) * classes + prediction.ravel()
    return np.bincount(joint, minlength=classes * classes).reshape(classes, classes)


def counts_of(matrix: np.ndarray, index: int) -> Counts:
    """One-vs-rest counts of a class from a confusion matrix."""
    tp = int(matrix[index, index])
    fp = int(matrix[:, index].sum()) - tp
    fn = int(matrix[index].sum()) - tp
    return Counts(tp, fp, fn, int(matrix.sum()) - tp - fp - fn)


def dice_of(common: float, first: float, second: float) -> float:
    """Dice from the sizes of an intersection and its two sets; both empty counts 1, a false alarm 0."""
    return 2 * common / (first + second) if first + second else 1.0


def dice(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Dice of two bool arrays; both empty counts 1, a false alarm or a miss 0."""
    return dice_of(int((truth & prediction).sum()), int(truth.sum()), int(prediction.sum()))


def cl_dice(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Centerline Dice (clDice; Shit et al., CVPR 2021) of two bool arrays; both empty counts 1, one empty 0.

    The harmonic mean of the share of the predicted skeleton that lies in the truth and of the share of the true
    skeleton that lies in the prediction. Skeletons after Lee: of flat masks by `gracile.geometry.thinning.thinned`, of
    volumes by scikit-image.

    Raises:
        MissingPartError: They are volumes, and scikit-image is not installed.
    """
    skeleton = thinned
    if truth.ndim > 2:
        with needs("train"):
            from skimage.morphology import skeletonize as skeleton

    if not truth.any() or not prediction.any():
        return float(not truth.any() and not prediction.any())
    box = ndimage.find_objects((truth | prediction).astype(np.uint8))[0]
    truth, prediction = truth[box], prediction[box]
    found, wanted = skeleton(prediction).astype(bool), skeleton(truth).astype(bool)
    precision = share(int((found & truth).sum()), int(found.sum()))
    sensitivity = share(int((wanted & prediction).sum()), int(wanted.sum()))
    return share(2 * precision * sensitivity, precision + sensitivity)


def auc(positive: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """Areas under the ROC curve and under the precision-recall curve (average precision), ties counted exactly.

    Nothing is binned: the negatives are sorted once and both areas follow from the ranks of the positives, which are
    few, so that a class of five million pixels takes about a second. Equal to scikit-learn's `roc_auc_score` and
    `average_precision_score`. Undefined (no positive; for the ROC also no negative) is 0.

    Args:
        positive: bool array, the truth.
        probability: Scores of the same shape; higher means positive.

    Raises:
        DataError: A score is not finite.
    """
    scores = probability.astype(np.float32) if probability.dtype == np.float16 else probability
    if not np.isfinite(scores).all():
        raise DataError("Probabilities hold values that are not finite.", "Write them again.")
    wanted, rest = np.sort(scores[positive], axis=None), np.sort(scores[~positive], axis=None)
    if not wanted.size:
        return 0.0, 0.0
    # Thresholds between scores of positives change no area under either curve, so those of positives suffice.
    thresholds, ties = np.unique(wanted, return_counts=True)
    below = np.searchsorted(rest, thresholds, side="left")
    equal = np.searchsorted(rest, thresholds, side="right") - below
    roc = float((ties * (below + 0.5 * equal)).sum() / (wanted.size * rest.size)) if rest.size else 0.0
    true_positives = np.cumsum(ties[::-1])[::-1]
    precision = true_positives / (true_positives + rest.size - below)
    return roc, float((ties * precision).sum() / wanted.size)


def weighted(rows: Sequence[Mapping[str, Any]], weights: np.ndarray, score: str) -> float:
    """Mean of a score over rows by weights that sum to 1."""
    return float(sum(weight * row[score] for weight, row in zip(weights, rows, strict=True)))
