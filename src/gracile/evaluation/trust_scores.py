"""Figures of a predicted quality against the true scores, for many weightings of the same cases at once.

Whatever ranks cases takes those of one doubt together, as an expectation over their orders: see `trust.py`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import digamma

from gracile.evaluation.ranking import areas, ratio

LOOKED_AT = 0.10
"""Share of the cases, the most doubtful, that a person is thought to look at."""

_ROUNDING = 0.5e-4
"""Records give predicted scores and their ends with four digits."""


@dataclass(frozen=True)
class Judged:
    """Cases with a true score and what was predicted of it.

    Args:
        truths: ``(cases,)`` the true scores, or errors in mm.
        errors: Whether they are errors, so that less is better.
        predicted: ``(cases,)`` what was predicted of them; NaN where nothing was, which is the most doubtful.
        low: Lower end of the interval, NaN where there is none.
        high: Its upper end.
        band_holds: 1 where the band holds the true outline, 0 where not, NaN where that is not known.
        unlike: How unlike the training images the input is; NaN where that is not known.
        failures: ``(cases,)`` bool.
        shares: What a case counts, such as 1 / the number of its subject's cases.
    """

    truths: np.ndarray
    errors: bool
    predicted: np.ndarray
    low: np.ndarray
    high: np.ndarray
    band_holds: np.ndarray
    unlike: np.ndarray
    failures: np.ndarray
    shares: np.ndarray

    @cached_property
    def risks(self) -> np.ndarray:
        """1 - score, or the error."""
        return self.truths if self.errors else 1 - self.truths

    @cached_property
    def doubts(self) -> np.ndarray:
        """What cases are ranked by, the most doubtful highest."""
        return np.where(np.isnan(self.predicted), np.inf, self.predicted if self.errors else -self.predicted)

    @cached_property
    def inside(self) -> np.ndarray:
        """1 where the true score lies in its interval, 0 where not, NaN where there is none."""
        held = (self.truths >= self.low - _ROUNDING) & (self.truths <= self.high + _ROUNDING)
        return np.where(np.isnan(self.low) | np.isnan(self.high), np.nan, held)


def trust_scores(cases: Judged, counts: np.ndarray) -> dict[str, np.ndarray]:
    """Every figure of every round.

    Args:
        cases: The cases.
        counts: ``(rounds, cases)``: how often each case was drawn.

    Returns:
        ``(rounds,)`` by name; NaN where undefined.
    """
    weights = counts * cases.shares
    area = _area(cases.risks, cases.doubts, counts, weights)
    best = _area(cases.risks, cases.risks, counts, weights)
    random = ratio(weights @ cases.risks, weights.sum(axis=1))
    difference = cases.predicted - cases.truths
    seen, possible = _failures_seen(cases, weights)
    told = ~np.isnan(cases.predicted)
    scores = {
        "aurc": area,
        "aurc_best": best,
        "aurc_random": random,
        "normalized_aurc": np.where(_differ(cases.risks, weights), _over(area - best, random - best), np.nan),
        "spearman": _spearman(-cases.doubts, -cases.risks, weights),
        "mean_absolute_error": _mean(np.abs(difference), weights),
        "mean_difference": _mean(difference, weights),
        "interval_coverage": _mean(cases.inside, weights),
        "interval_width": _mean(cases.high - cases.low, weights),
        "band_coverage": _mean(cases.band_holds, weights),
        "failures_seen": seen,
        "failures_seen_at_best": possible,
        "auroc_of_failures": areas(cases.failures, cases.doubts, weights)[0]
        if told.any()
        else np.full(len(seen), np.nan),
    }
    known = ~np.isnan(cases.unlike)
    if known.any():
        scores["auroc_of_failures_unlike"] = areas(cases.failures[known], cases.unlike[known], weights[:, known])[0]
    return scores


def _area(risks: np.ndarray, doubts: np.ndarray, counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the risk-coverage curve of each round; a case that was drawn twice is two cases of one doubt.

    A group of m cases of mean weight w and mean risk r behind others of weight K and summed risk S adds, over all of
    its orders, ``sum w (S + j w r) / (K + j w)`` for j = 1 ... m, which is ``m w r + (S - K r) (psi(K/w + m + 1) -
    psi(K/w + 1))`` with the digamma function psi.
    """
    order, starts = _groups(doubts)
    members = _summed(counts[:, order], starts)
    weight = _summed(weights[:, order], starts)
    summed = _summed(weights[:, order] * risks[order], starts)
    before, summed_before = np.cumsum(weight, axis=1) - weight, np.cumsum(summed, axis=1) - summed
    mean = np.nan_to_num(ratio(summed, weight))
    place = np.nan_to_num(ratio(before * members, weight))  # K / w
    later = digamma(place + members + 1) - digamma(place + 1)
    return ratio((summed + (summed_before - before * mean) * later).sum(axis=1), weight.sum(axis=1))


def _failures_seen(cases: Judged, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Share of the failures among the most doubtful cases that are looked at, and of what the best order would see.

    A group of one doubt on the border, or a single case, is looked at in part.
    """
    order, starts = _groups(-cases.doubts)
    weight = _summed(weights[:, order], starts)
    failed = _summed(weights[:, order] * cases.failures[order], starts)
    whole, wrong = weight.sum(axis=1), failed.sum(axis=1)
    room = LOOKED_AT * whole[:, None] - (np.cumsum(weight, axis=1) - weight)
    part = np.clip(np.nan_to_num(ratio(room, weight)), 0, 1)
    contrast = (wrong > 0) & (wrong < whole)
    seen, best = ratio((part * failed).sum(axis=1), wrong), np.minimum(1, ratio(LOOKED_AT * whole, wrong))
    return np.where(contrast, seen, np.nan), np.where(contrast, best, np.nan)


def _spearman(first: np.ndarray, second: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rank correlation: that of the mean ranks, so that ties are exact (Spearman 1904); NaN where one side is equal."""
    whole = weights.sum(axis=1)
    ranks = [_ranks(values, weights) for values in (first, second)]
    away = [rank - ratio((rank * weights).sum(axis=1), whole)[:, None] for rank in ranks]
    common = (weights * away[0] * away[1]).sum(axis=1)
    spreads = [(weights * one * one).sum(axis=1) for one in away]
    varied = _differ(first, weights) & _differ(second, weights)
    return np.where(varied, _over(common, np.sqrt(spreads[0] * spreads[1])), np.nan)


def _ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """``(rounds, cases)`` the mean rank of each case among all weights."""
    order, starts = _groups(values)
    weight = _summed(weights[:, order], starts)
    middle = np.cumsum(weight, axis=1) - weight / 2
    ranks = np.empty(weights.shape)
    ranks[:, order] = np.repeat(middle, np.diff(starts, append=len(order)), axis=1)
    return ranks


def _groups(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order from low to high, and where in it each distinct value begins."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    return order, np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))


def _summed(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """``(rounds, groups)`` sums of ``(rounds, cases)`` in order."""
    return values if len(starts) == values.shape[1] else np.add.reduceat(values, starts, axis=1)


def _differ(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Whether the values of the cases that count are not all equal, in each round."""
    there = weights > 0
    return np.where(there, values, np.inf).min(axis=1) < np.where(there, values, -np.inf).max(axis=1)


def _mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of the values that are defined, in each round."""
    known = ~np.isnan(values)
    return ratio(weights[:, known] @ values[known], weights[:, known].sum(axis=1))


def _over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)
