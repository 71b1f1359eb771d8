"""Fits a map from signs to scores: a ridge regression of few standardized signs that keep the direction known of them.

Signs are added one by one, and each must pay in cross-validation over subjects.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gracile.errors import DataError
from gracile.trust.conformal import PEOPLE
from gracile.trust.figures import INPUT
from gracile.trust.quality import FOLD, linked
from gracile.trust.quality_card import SIZES, Link, MapEntry, PartEntry, SignEntry, SpreadEntry, WidthEntry, rounded
from gracile.trust.quality_words import FARTHEST
from gracile.trust.ridge import chosen_signs, fitted
from gracile.trust.signs import Unit, sign_of
from gracile.trust.truths import HeldAnswer

FEWEST_SUBJECTS, FEWEST_UNITS = 3, 20
"""Subjects, and structures, landmarks or slices of them, from which on it is learned."""

MOST_WEIGHED, SUBJECTS_EACH = 10, 4
"""Signs that may have a weight; and subjects that there must be for each of them."""

MOST_SPOKEN, TELLING = 24, 0.2
"""Further signs that are spoken of, and the correlation with the score from which on they are."""

ALIKE = 1e-6
"""Range of scores below which they are equal."""

FOLDS = 10
PRIOR = 5.0
"""Units that what is usual of all parts is worth, beside a part's own."""

_NO_WIDTH = WidthEntry(spread=SpreadEntry(base=0.0, slope=0.0), factor=0.0, by="t")

Scores = Callable[[HeldAnswer], Sequence[float]]


@dataclass(frozen=True)
class Rows:
    """Units as rows: the case and the part of each, its score, its weight, and ``(rows, signs)``, NaN where unknown."""

    units: list[Unit]
    case: np.ndarray
    subject: np.ndarray
    parts: np.ndarray
    scores: np.ndarray
    weights: np.ndarray
    names: list[str]
    signs: np.ndarray


def folds_of(subjects: np.ndarray, count: int = FOLDS) -> list[np.ndarray]:
    """``(rows,)`` bool of each fold: the rows of its subjects, who are dealt out by their number of rows."""
    names, counts = np.unique(subjects, return_counts=True)
    count = min(count, len(names))
    loads, fold_of = np.zeros(count), {}
    for index in np.argsort(-counts, kind="stable"):
        fold = int(loads.argmin())
        fold_of[names[index]] = fold
        loads[fold] += counts[index]
    numbers = np.array([fold_of[subject] for subject in subjects])
    return [numbers == fold for fold in range(count)]


def rows_of(held: Sequence[HeldAnswer], scores: Scores) -> Rows:
    """The units of answers, each case weighing 1. Raises DataError where they are too few or all alike."""
    some = [(number, one) for number, one in enumerate(held) if one.answer.units]
    units = [unit for _, one in some for unit in one.answer.units]
    values = np.array([value for _, one in some for value in scores(one)], dtype=float)
    subjects = {one.subject for _, one in some}
    if len(subjects) < 2 or np.ptp(values) < ALIKE:
        raise DataError("All answers are equally good: nothing tells them apart.", "Give more cases.")
    counts = {number: sum(unit.weight for unit in one.answer.units) for number, one in some}
    case = np.array([number for number, one in some for _ in one.answer.units])
    names = sorted({name for unit in units for name in unit.signs})
    signs = np.array([[unit.signs.get(name, np.nan) for name in names] for unit in units], dtype=float)
    known = np.isfinite(signs).mean(axis=0) >= 0.9
    if len(subjects) < PEOPLE:  # what an input looks like differs from subject to subject, more than within one
        known &= np.array([not (name.startswith(INPUT) or name == "unlike") for name in names])
    return Rows(
        units, case, np.array([held[number].subject for number in case]), np.array([unit.part for unit in units]),
        values, np.array([unit.weight / counts[number] for unit, number in zip(units, case, strict=True)]),
        [name for name, kept in zip(names, known, strict=True) if kept], signs[:, known],
    )  # fmt: skip


def fit_map(rows: Rows, link: Link, held: Sequence[HeldAnswer]) -> MapEntry:
    """The signs that count, with their weights."""
    target = np.array([linked(link, value) for value in rows.scores])
    parts = _usual(rows, target, held)
    middles = np.array([parts[part].middle for part in rows.parts])
    spreads = np.array([parts[part].spread for part in rows.parts])
    aim = (target - middles) / np.maximum(spreads, 1e-9) * (-1 if link == "log" else 1)  # more is better
    weighed_signs = _weighed(rows, parts)
    ups = np.array([sign_of(name).up for name in rows.names])
    turned, free = weighed_signs * np.where(ups == 0, 1, ups), ups == 0
    most = min(MOST_WEIGHED, max(1, len(set(rows.subject)) // SUBJECTS_EACH))
    chosen = chosen_signs(turned, aim, rows.weights, folds_of(rows.subject), free, most)
    own = chosen.signs
    found = fitted(turned[:, own], aim, rows.weights, free[own], chosen.penalty)
    shares = rows.weights / rows.weights.sum()
    base = float(shares @ (aim - turned[:, own] @ found))
    weights = dict(zip(own, found * np.where(ups[own] == 0, 1, ups[own]), strict=True))
    tells = [_correlation(weighed_signs[:, index], aim, rows.weights) for index in range(len(rows.names))]
    # A sign is spoken of in the direction that is known of it.
    spoken = [i for i, told in enumerate(tells) if abs(told) >= TELLING and (ups[i] == 0 or told * ups[i] > 0)]
    spoken = sorted(spoken, key=lambda index: -abs(tells[index]))[:MOST_SPOKEN]
    kept = {**{index: value for index, value in weights.items() if value}, **{i: weights.get(i, 0.0) for i in spoken}}
    entries = {
        rows.names[i]: SignEntry(weight=rounded(value), tells=rounded(tells[i]) if i in spoken else 0.0)
        for i, value in kept.items()
    }
    trimmed = {
        name: part.model_copy(update={"signs": {key: part.signs[key] for key in entries if key in part.signs}})
        for name, part in parts.items()
    }
    return MapEntry(link=link, base=rounded(base), signs=entries, parts=trimmed, interval=_NO_WIDTH)


def _usual(rows: Rows, target: np.ndarray, held: Sequence[HeldAnswer]) -> dict[str, PartEntry]:
    """What is usual of each part: its own cases, leaning on those of all parts where they are few."""
    pooled_target = _center(target, rows.weights)
    pooled = [_center(rows.signs[:, index], rows.weights) for index in range(len(rows.names))]
    parts = {}
    for part in dict.fromkeys(rows.parts):
        own = rows.parts == part
        weights = rows.weights[own]
        middle, spread = _leaning(_center(target[own], weights), pooled_target, int(own.sum()))
        signs = {}
        for index, name in enumerate(rows.names):
            at = _leaning(_center(rows.signs[own, index], weights), pooled[index], int(own.sum()))
            signs[name] = (rounded(at[0]), rounded(at[1]))
        unsliced = all(unit.slice is None for unit in rows.units) and "share" in rows.names
        sizes = rows.signs[own, rows.names.index("share")] if unsliced else np.zeros(0)
        absent = [one.there[part] for one in held if part in one.there]
        parts[str(part)] = PartEntry(
            middle=rounded(middle), spread=rounded(spread), signs=signs, cases=len(set(rows.case[own])),
            sizes=[rounded(float(v)) for v in np.nanpercentile(sizes, SIZES)] if np.isfinite(sizes).any() else [],
            absent=len(absent), missed=sum(absent),
        )  # fmt: skip
    return parts


def _center(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of what is known."""
    known = np.isfinite(values)
    if not known.any():
        return 0.0, 0.0
    shares = weights[known] / weights[known].sum()
    mean = float(shares @ values[known])
    return mean, float(np.sqrt(shares @ (values[known] - mean) ** 2))


def _leaning(own: tuple[float, float], pooled: tuple[float, float], count: int) -> tuple[float, float]:
    share = count / (count + PRIOR)
    mean = share * own[0] + (1 - share) * pooled[0]
    return mean, float(np.sqrt(share * own[1] ** 2 + (1 - share) * pooled[1] ** 2))


def _weighed(rows: Rows, parts: dict[str, PartEntry]) -> np.ndarray:
    """``(rows, signs)`` deviations of signs as they are weighed; 0 where one is not known."""
    found = np.zeros(rows.signs.shape)
    for part, entry in parts.items():
        own = rows.parts == part
        for index, name in enumerate(rows.names):
            middle, spread = entry.signs[name]
            if spread > 0:
                off = np.clip((rows.signs[own, index] - middle) / spread, -FARTHEST, FARTHEST)
                found[own, index] = np.abs(off) - FOLD if sign_of(name).folded else off
    return np.nan_to_num(found)


def _correlation(signs: np.ndarray, aim: np.ndarray, weights: np.ndarray) -> float:
    (middle, spread), (goal, width) = _center(signs, weights), _center(aim, weights)
    if not spread * width:
        return 0.0
    value = float((weights / weights.sum()) @ ((signs - middle) * (aim - goal))) / (spread * width)
    return min(1.0, max(-1.0, value))
