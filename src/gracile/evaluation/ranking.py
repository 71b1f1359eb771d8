"""Curves and areas of probabilities that rank cases, for many weightings of the same cases at once."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Curves:
    """ROC and precision-recall curve of one class against the rest, from the highest threshold to the lowest.

    Args:
        thresholds: A case is called positive at or above it; the first point calls none and is at infinity.
        recall: Share of the positives that are found, at each threshold.
        false_alarm_rate: Share of the negatives that are called positive.
        precision: Share of the called that are positive; 1 at the first point, as is the custom.
    """

    thresholds: np.ndarray
    recall: np.ndarray
    false_alarm_rate: np.ndarray
    precision: np.ndarray


def curves(positive: np.ndarray, probability: np.ndarray) -> Curves | None:
    """Both curves with a point per distinct probability; None where all cases are on one side.

    Args:
        positive: ``(cases,)`` bool, the truth.
        probability: ``(cases,)``; higher means positive.
    """
    order, starts = _steps(probability)
    hits = np.cumsum(np.add.reduceat(positive[order].astype(int), starts))
    alarms = np.cumsum(np.add.reduceat((~positive)[order].astype(int), starts))
    if not hits[-1] or not alarms[-1]:
        return None
    return Curves(
        np.concatenate([[np.inf], probability[order][starts]]),
        np.concatenate([[0], hits / hits[-1]]),
        np.concatenate([[0], alarms / alarms[-1]]),
        np.concatenate([[1], hits / (hits + alarms)]),
    )


def areas(positive: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Areas under the ROC curve and under the precision-recall curve (average precision), ties counted exactly.

    With weights of 1 equal to scikit-learn's `roc_auc_score` and `average_precision_score`.

    Args:
        positive: ``(cases,)`` bool, the truth.
        probability: ``(cases,)``; higher means positive.
        weights: ``(rounds, cases)``: how often each case counts.

    Returns:
        Two arrays ``(rounds,)``; NaN where all cases that count are on one side.
    """
    order, starts = _steps(probability)
    ordered = weights[:, order]
    hits = np.add.reduceat(ordered * positive[order], starts, axis=1)
    alarms = np.add.reduceat(ordered * ~positive[order], starts, axis=1)
    wanted, rest = hits.sum(axis=1), alarms.sum(axis=1)
    below = rest[:, None] - np.cumsum(alarms, axis=1)
    roc = ratio((hits * (below + 0.5 * alarms)).sum(axis=1), wanted * rest)
    reached = np.cumsum(hits, axis=1)
    precision = np.nan_to_num(ratio(reached, reached + rest[:, None] - below))
    average = ratio((hits * precision).sum(axis=1), wanted)
    return roc, np.where(rest > 0, average, np.nan)


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole``, NaN where there is no whole."""
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)


def _steps(probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order from high to low, and where in it each distinct value begins."""
    order = np.argsort(-probability, kind="stable")
    ordered = probability[order]
    return order, np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
