"""Scores of classified pictures, for many weightings of the same pictures at once, so that intervals cost little.

- Precision, recall and F1 per class are those of one class against the rest. Averages are scikit-learn's: ``macro``
  over the classes that occur in truth or answers, ``weighted`` by the number of true pictures, ``micro`` over all
  pictures (with one class per picture all three equal the accuracy). An undefined precision or recall counts 0 in them.
- ``balanced_accuracy`` is the mean recall of the classes that occur in the truth.
- ``auc_roc`` and ``auc_pr`` (average precision) of a class are against the rest, undefined where all pictures are on
  one side; without a class they are that of ``present``, or the mean over the classes that have one.
- ``brier`` is the mean squared error of the probabilities (Brier 1950), summed over the classes and, where there are
  two, halved, so that it is the usual (p - y)².
- ``calibration_error`` is the expected calibration error in ten bins of equal width (Naeini et al., AAAI 2015): of the
  probability of ``present``, or else of the likeliest class, as in Guo et al., ICML 2017.
"""

from dataclasses import dataclass

import numpy as np

from gracile.evaluation.ranking import areas, ratio

BINS = 10


@dataclass(frozen=True)
class Classified:
    """Pictures with their true class, the answered probabilities and the class that was decided on.

    Args:
        classes: Names of the classes.
        presence: Whether the classes are absent and present, in this order.
        truth: ``(cases,)`` class indices.
        probabilities: ``(cases, classes)``.
        decisions: ``(cases,)`` class indices.
    """

    classes: list[str]
    presence: bool
    truth: np.ndarray
    probabilities: np.ndarray
    decisions: np.ndarray


def class_scores(answered: Classified, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Every score of every round.

    Args:
        answered: The pictures.
        weights: ``(rounds, cases)``: how often each picture counts; of ones for the plain scores.

    Returns:
        ``(rounds,)`` by name, those of a class as ``recall_CLASS``; NaN where undefined.
    """
    matrix = confusion_matrices(answered, weights)
    total, wanted, claimed = matrix.sum(axis=(1, 2)), matrix.sum(axis=2), matrix.sum(axis=1)
    right = np.diagonal(matrix, axis1=1, axis2=2)
    rejected = total[:, None] - wanted - claimed + right
    roc, average = _areas(answered, weights)
    per_class = {
        "precision": ratio(right, claimed),
        "recall": ratio(right, wanted),
        "specificity": ratio(rejected, total[:, None] - wanted),
        "f1": ratio(2 * right, wanted + claimed),
        "auc_roc": roc,
        "auc_pr": average,
    }
    scores = {
        "accuracy": right.sum(axis=1) / total,
        "balanced_accuracy": _mean_of_known(per_class["recall"]),
        "auc_roc": roc[:, 1] if answered.presence else _mean_of_known(roc),
        "auc_pr": average[:, 1] if answered.presence else _mean_of_known(average),
        "brier": _brier(answered, weights),
        "calibration_error": _calibration_error(answered, weights),
    }
    if answered.presence:
        scores |= {name: per_class[name][:, 1] for name in ("recall", "specificity", "precision", "f1")}
        scores["false_alarm_rate"] = 1 - scores["specificity"]
    occurs = wanted + claimed > 0
    for name in ("precision", "recall", "f1"):
        known = np.nan_to_num(per_class[name])
        scores[f"{name}_macro"] = (known * occurs).sum(axis=1) / occurs.sum(axis=1)
        scores[f"{name}_micro"] = scores["accuracy"]
        scores[f"{name}_weighted"] = (known * wanted).sum(axis=1) / total
    for name, values in per_class.items():
        scores |= {f"{name}_{of}": values[:, index] for index, of in enumerate(answered.classes)}
    return scores


def confusion_matrices(answered: Classified, weights: np.ndarray) -> np.ndarray:
    """``(rounds, classes, classes)``: weight of the pictures by true class (row) and decided one (column)."""
    count = len(answered.classes)
    joint = np.eye(count * count)[answered.truth * count + answered.decisions]
    return (weights @ joint).reshape(-1, count, count)


def reliability(answered: Classified, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many pictures fall into each of ten bins of the probability, their mean probability, their share of truth.

    Returns:
        Three arrays ``(rounds, bins)``; the last two are NaN for an empty bin.
    """
    if answered.presence:
        probability, true = answered.probabilities[:, 1], answered.truth == 1
    else:
        probability = answered.probabilities.max(axis=1)
        true = answered.probabilities.argmax(axis=1) == answered.truth
    member = np.eye(BINS)[np.minimum((probability * BINS).astype(int), BINS - 1)]
    sizes = weights @ member
    return (
        sizes,
        ratio(weights @ (member * probability[:, None]), sizes),
        ratio(weights @ (member * true[:, None]), sizes),
    )


def _areas(answered: Classified, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both areas of each class against the rest, ``(rounds, classes)`` each."""
    both = [
        areas(answered.truth == index, answered.probabilities[:, index], weights)
        for index in range(len(answered.classes))
    ]
    return np.stack([roc for roc, _ in both], axis=1), np.stack([average for _, average in both], axis=1)


def _brier(answered: Classified, weights: np.ndarray) -> np.ndarray:
    count = len(answered.classes)
    error = np.square(answered.probabilities - np.eye(count)[answered.truth]).sum(axis=1)
    return weights @ error / weights.sum(axis=1) / (2 if count == 2 else 1)


def _calibration_error(answered: Classified, weights: np.ndarray) -> np.ndarray:
    sizes, said, true = reliability(answered, weights)
    return (sizes * np.nan_to_num(np.abs(said - true))).sum(axis=1) / sizes.sum(axis=1)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """Mean along the last axis without NaN; NaN where there is nothing else."""
    known = np.isfinite(values)
    return ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1))
