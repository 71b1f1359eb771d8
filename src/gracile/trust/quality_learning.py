"""Learns how good answers are from their signs, on answers to cases that the model had not seen.

Intervals and the band come from what each fold's map said of the others: conformal quantiles of errors, over the spread
that goes with the predicted score (Papadopoulos et al., Normalized Nonconformity Measures for Regression Conformal
Prediction, 2008; Barber et al., Predictive Inference with the Jackknife+, Annals of Statistics 49(1), 2021: this is its
plain jackknife, over folds of subjects).
"""

from collections.abc import Sequence

import numpy as np

from gracile.errors import DataError
from gracile.trust.conformal import reach
from gracile.trust.quality import CERTAIN, Told, judge_units, mean_value, tell
from gracile.trust.quality_card import (
    AbsentEntry,
    BandEntry,
    ClosedEntry,
    LearnedEntry,
    Link,
    MapEntry,
    QualityEntry,
    Score,
    SpreadEntry,
    WidthEntry,
    badness,
    rounded,
)
from gracile.trust.quality_fit import ALIKE, FEWEST_SUBJECTS, FEWEST_UNITS, fit_map, folds_of, rows_of
from gracile.trust.risk import normalized_aurc
from gracile.trust.truths import HeldAnswer

RIDGE = 0.25
"""Penalty on the square by which a correction of a gate's word differs from none."""

LEAST_SPREAD = 0.25
"""Of the mean error: no case is more certain than that."""

Kept = Sequence[tuple[Told, HeldAnswer, float]]
"""What was told of each answer by a map that had not learned from it, the answer, and its score."""


def learn_quality(held: Sequence[HeldAnswer], score: Score) -> QualityEntry:
    """How good answers are, from their signs.

    Args:
        held: Answers to cases that the model had not seen.
        score: Of a case: ``dice`` or ``mm``.

    Raises:
        DataError: They are too few, or all equally good.
    """
    _require_enough(held)
    links: tuple[Link, ...] = ("logit", "plain") if score == "dice" else ("log",)
    tried = [(link, _held_back(held, score, link)) for link in links]
    link, kept = min(tried, key=lambda one: _mean_error(one[1]))
    subjects = [one.subject for _, one, _ in kept]
    if len(set(subjects)) < FEWEST_SUBJECTS - 1:
        raise DataError("Too few answers found anything that could be scored.", "Give more cases.")
    bad = [badness(score, told.predicted) for told, _, _ in kept]
    interval = _width([abs(told.predicted - value) for told, _, value in kept], bad, subjects)
    order = normalized_aurc([-one for one in bad], [badness(score, value) for _, _, value in kept])
    entry = _entry(held, score, link)
    return entry.model_copy(
        update={
            "map": entry.map.model_copy(update={"interval": interval, "of_parts": _of_parts(kept, score)}),
            "area": _area(held) if any(one.areas for one in held) else None,
            "band": _band(kept),
            "learned": LearnedEntry(
                cases=len(kept), subjects=len(set(subjects)), error=rounded(_mean_error(kept)),
                order=None if order is None else rounded(order),
            ),
        }
    )  # fmt: skip


def _require_enough(held: Sequence[HeldAnswer]) -> None:
    """Raise DataError where answers are too few to learn from."""
    units = sum(len(one.answer.units) for one in held)
    subjects = len({one.subject for one in held if one.answer.units})
    if subjects < FEWEST_SUBJECTS or units < FEWEST_UNITS:
        raise DataError(
            f"How good answers are is learned from {FEWEST_SUBJECTS} subjects and {FEWEST_UNITS} structures, landmarks "
            f"or slices that were found in them at least; there are {subjects} and {units}.",
            "Give more labeled cases that the model did not see.",
        )
    scores = [score for one in held for score in one.scores]
    if max(scores) - min(scores) < ALIKE:
        raise DataError("All answers are equally good: nothing tells them apart.", "Give more cases.")


def _entry(held: Sequence[HeldAnswer], score: Score, link: Link) -> QualityEntry:
    """A map without intervals."""
    entry = fit_map(rows_of(held, lambda one: one.scores), link, held)
    return QualityEntry(
        score=score, map=entry, absent=_absent(held), closed=_closed(held),
        learned=LearnedEntry(cases=0, subjects=0, error=0.0),
    )  # fmt: skip


def _held_back(held: Sequence[HeldAnswer], score: Score, link: Link) -> Kept:
    """What maps say of the scored answers of subjects that they were not learned from."""
    kept: list[tuple[Told, HeldAnswer, float]] = []
    for fold in folds_of(np.array([one.subject for one in held])):
        try:
            entry = _entry([one for one, out in zip(held, fold, strict=True) if not out], score, link)
        except DataError:
            continue
        for one in (one for one, out in zip(held, fold, strict=True) if out):
            told = tell(entry, one.answer)
            if not isinstance(told, str) and told.judged and one.score is not None:
                kept.append((told, one, one.score))
    return kept


def _mean_error(kept: Kept) -> float:
    return float(np.mean([abs(told.predicted - value) for told, _, value in kept])) if kept else np.inf


def _width(errors: Sequence[float], badnesses: Sequence[float], subjects: Sequence[str]) -> WidthEntry:
    """How far nine in ten errors reach: their spread by how bad a case is predicted to be, and the factor over it."""
    spread = _spread(np.asarray(errors, dtype=float), np.asarray(badnesses, dtype=float))
    ratios = [error / max(spread.at(bad), 1e-12) for error, bad in zip(errors, badnesses, strict=True)]
    far = reach(ratios, subjects)
    return WidthEntry(spread=spread, factor=rounded(far.value), by=far.by)


def _spread(errors: np.ndarray, badnesses: np.ndarray) -> SpreadEntry:
    """Non-negative least squares of errors on how bad a case is predicted to be."""
    from scipy.optimize import nnls  # slow to import, and only learning needs it

    (base, slope), _ = nnls(np.column_stack([np.ones(len(errors)), badnesses]), errors)
    base = max(float(base), LEAST_SPREAD * float(errors.mean()), 1e-6)
    return SpreadEntry(base=rounded(base), slope=rounded(float(slope)))


def _of_parts(kept: Kept, score: Score) -> WidthEntry | None:
    """The interval of each unit's own score; None where a case has but one, or slices."""
    if any(unit.slice is not None for _, one, _ in kept for unit in one.answer.units):
        return None
    if all(len(one.answer.units) < 2 for _, one, _ in kept):
        return None
    errors, badnesses, subjects = [], [], []
    for told, one, _ in kept:
        scores = dict(zip((unit.part for unit in one.answer.units), one.scores, strict=True))
        for judged in told.judged:
            errors.append(abs(judged.value - scores[judged.unit.part]))
            badnesses.append(badness(score, judged.value))
            subjects.append(one.subject)
    return _width(errors, badnesses, subjects)


def _band(kept: Kept) -> BandEntry | None:
    """The band around the outline; None where it was measured in too few cases."""
    some = [(told, one, one.margin) for told, one, _ in kept if one.margin is not None]
    if len(some) < FEWEST_SUBJECTS:
        return None
    volumes = any(unit.slice is not None or "deep" in unit.signs for _, one, _ in some for unit in one.answer.units)
    width = _width(
        [margin for _, _, margin in some], [badness("dice", told.predicted) for told, _, _ in some],
        [one.subject for _, one, _ in some],
    )  # fmt: skip
    return BandEntry(width=width, unit="mm" if volumes else "share")


def _area(held: Sequence[HeldAnswer]) -> MapEntry:
    """From the signs of slices to the error of their areas, as a share of the true ones."""
    errors, badnesses, subjects = [], [], []
    for fold in folds_of(np.array([one.subject for one in held])):
        try:
            entry = _area_map([one for one, out in zip(held, fold, strict=True) if not out])
        except DataError:
            continue
        for one in (one for one, out in zip(held, fold, strict=True) if out and one.areas):
            value = mean_value(judge_units(entry, one.answer.units))
            true = float(np.average(one.areas, weights=[unit.weight for unit in one.answer.units]))
            errors.append(abs(value - true))
            badnesses.append(value)
            subjects.append(one.subject)
    return _area_map(held).model_copy(update={"interval": _width(errors, badnesses, subjects)})


def _area_map(held: Sequence[HeldAnswer]) -> MapEntry:
    return fit_map(rows_of(held, lambda one: one.areas), "log", held)


def _closed(held: Sequence[HeldAnswer]) -> ClosedEntry | None:
    """How right a gate was to close everything, beside how sure it was: a logistic regression that begins at its word.

    Platt, Probabilistic Outputs for Support Vector Machines, 1999, with a ridge penalty on what differs from its word,
    and a slope that is never negative.
    """
    from scipy.optimize import minimize  # slow to import, and only learning needs it

    some = [
        (one.answer.gate, one.score == 1.0) for one in held if one.answer.gate is not None and one.score is not None
    ]
    if not some:
        return None
    shares = np.clip([1.0 - gate for gate, _ in some], CERTAIN, 1.0 - CERTAIN)
    words = np.log(shares / (1.0 - shares))
    middle = float(words.mean())
    design = np.column_stack([np.ones(len(some)), words - middle])
    right, start = np.array([own for _, own in some], dtype=float), np.array([middle, 1.0])

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits, off = design @ weights, weights - start
        value = float(np.logaddexp(0.0, logits).sum() - right @ logits + RIDGE * off @ off / 2)
        return value, design.T @ (1.0 / (1.0 + np.exp(-logits)) - right) + RIDGE * off

    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(None, None), (0.0, None)])
    at_middle, slope = map(float, found.x)
    return ClosedEntry(
        base=rounded(at_middle - slope * middle), slope=rounded(slope), cases=len(some), right=int(right.sum())
    )


def _absent(held: Sequence[HeldAnswer]) -> AbsentEntry | None:
    """Answers that found nothing, no gate having closed it."""
    empty = [one for one in held if not one.answer.units and one.answer.gate is None and one.score is not None]
    return AbsentEntry(cases=len(empty), right=sum(one.score == 1.0 for one in empty)) if empty else None
