"""How good an answer is predicted to be: a score with an interval, a band around the outline, words for the reasons."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from gracile.recipe import Recipe
from gracile.result import Quality, Result
from gracile.trust.figures import Figures
from gracile.trust.quality_card import ClosedEntry, MapEntry, QualityEntry, Score, WidthEntry, badness, read_quality
from gracile.trust.quality_words import FARTHEST, reasons_of
from gracile.trust.signs import SignedAnswer, Unit, sign_of, signed_answer

FOLD = 0.8
"""Mean distance of a case from the middle, in deviations, were they distributed normally: √(2/π)."""

FEWEST_EMPTY = 5
"""Held-back answers without anything from which on it is told how likely such an answer is right."""

LINK_FLOOR = {"logit": 0.05, "log": 0.01, "plain": 0.0}
"""Smallest score (and of a share its distance from 1) that a link tells apart from 0."""

CERTAIN = 1e-4
"""Nearest that a gate's word is taken to come to 0 and to 1."""

CANNOT = "how good this answer is cannot be told: "


@dataclass(frozen=True)
class Judged:
    """What signs say of one unit: the predicted score, and by sign its deviations from the usual."""

    unit: Unit
    value: float
    deviations: dict[str, float]


@dataclass(frozen=True)
class Told:
    """The predicted score of an answer, the ends of its interval, what is said of each unit; of an empty one why."""

    predicted: float
    low: float
    high: float
    judged: list[Judged] = field(default_factory=list)
    reason: str = ""


class QualityMap:
    """From the signs of an answer to how good it is.

    Args:
        entry: What was learned.
    """

    def __init__(self, entry: QualityEntry) -> None:
        self.entry = entry

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Self | str | None:
        """Read what a bundle's card holds under ``quality``, or why it was not learned; None where it holds nothing.

        Raises:
            BundleError: It is damaged.
        """
        entry = read_quality(card)
        return entry if entry is None or isinstance(entry, str) else cls(entry)

    def as_card(self) -> dict[str, Any]:
        """Plain data for a bundle's card."""
        return self.entry.model_dump(mode="json", exclude_none=True)

    def judge(self, result: Result, recipe: Recipe, figures: Figures) -> Quality | str:
        """How good an answer is predicted to be; or why that cannot be told.

        Args:
            result: With signs.
            recipe: By which it was found.
            figures: Of the case.
        """
        quality = self.of(signed_answer(result, recipe, figures))
        if isinstance(quality, str) or result.mask is None or not result.mask.any():
            return quality
        band, unit = self._band(result, quality.predicted)
        return replace(quality, band=band, band_unit=unit)

    def of(self, answer: SignedAnswer) -> Quality | str:
        """The same of an answer's signs alone, without a band."""
        told = tell(self.entry, answer)
        if isinstance(told, str):
            return told
        reasons = (told.reason,) if told.reason else tuple(reasons_of(self.entry, told.judged, answer))
        return Quality(
            self.entry.score, told.predicted, told.low, told.high, reasons, parts=self._parts(told.judged)
        )  # fmt: skip

    def _band(self, result: Result, predicted: float) -> tuple[float | None, str]:
        """Half the width of the band around the outline, and its unit."""
        band, spacing = self.entry.band, result.grid.spacing_mm
        if band is None or (band.unit == "mm" and spacing is None):
            return None, ""
        width = band.width.at(badness("dice", predicted))
        if band.unit == "mm":
            return width, "mm"
        width *= longer_side(result)
        return (width, "px") if spacing is None else (width * float(np.mean(spacing)), "mm")

    def _parts(self, judged: Sequence[Judged]) -> dict[str, tuple[float, float, float]]:
        """Predicted score and interval of each structure or landmark, where there are several; the error of areas."""
        parts: dict[str, tuple[float, float, float]] = {}
        interval, area = self.entry.map.of_parts, self.entry.area
        if interval is not None and len(judged) > 1:
            parts = {one.unit.part: (one.value, *ends(self.entry.score, interval, one.value)) for one in judged}
        known = [] if area is None else [one.unit for one in judged if one.unit.part in area.parts]
        if area is not None and known:
            value = mean_value(judge_units(area, known))
            parts["area error"] = (value, *ends("mm", area.interval, value))
        return parts


def tell(entry: QualityEntry, answer: SignedAnswer) -> Told | str:
    """The predicted score of an answer; or why that cannot be told.

    Args:
        entry: What was learned.
        answer: Its signs.
    """
    known = [unit for unit in answer.units if unit.part in entry.map.parts]
    if known:
        judged = judge_units(entry.map, known)
        predicted = case_value(entry.score, entry.map, judged, answer.absent)
        return Told(predicted, *ends(entry.score, entry.map.interval, predicted), judged)
    if answer.units:
        return f"{CANNOT}nothing was found that it was learned of"
    empty = entry.absent
    if entry.score != "dice":
        return f"{CANNOT}no landmark was found"
    if answer.gate is not None:
        right = closed_rightly(entry.closed, answer.gate)
        reason = f"the gate has it absent with a probability of {1.0 - answer.gate:.2f}"
    elif empty is not None and empty.cases >= FEWEST_EMPTY:
        right = (empty.right + 1) / (empty.cases + 2)  # Laplace's rule of succession
        reason = f"nothing was found; that was right in {empty.right} of {empty.cases} such answers"
    else:
        return f"{CANNOT}nothing was found, and too few such answers were seen"
    # An empty answer is either right, 1, or wrong, 0: the shortest interval that holds nine in ten.
    return Told(right, float(right >= 0.9), float(right > 0.1), reason=reason)


def closed_rightly(entry: ClosedEntry | None, present: float) -> float:
    """How likely it is right that a gate closed everything, by the probability that it gave to its being there."""
    if entry is None:
        return 1.0 - present
    share = min(max(1.0 - present, CERTAIN), 1.0 - CERTAIN)
    return 1.0 / (1.0 + math.exp(-(entry.base + entry.slope * math.log(share / (1.0 - share)))))


def judge_units(entry: MapEntry, units: Sequence[Unit]) -> list[Judged]:
    """The predicted score of units whose parts a map knows."""
    judged = []
    for unit in units:
        part = entry.parts[unit.part]
        found = {name: deviation(unit.signs[name], *part.signs[name])
                 for name in entry.signs if name in unit.signs and name in part.signs}  # fmt: skip
        told = entry.base + sum(entry.signs[name].weight * weighed(name, value) for name, value in found.items())
        better = -told if entry.link == "log" else told  # of errors less is better
        judged.append(Judged(unit, unlinked(entry.link, part.middle + part.spread * better), found))
    return judged


def deviation(value: float, middle: float, spread: float) -> float:
    """By how many deviations a sign differs from the middle of what is usual."""
    return min(max((value - middle) / spread, -FARTHEST), FARTHEST) if spread > 0 else 0.0


def weighed(name: str, value: float) -> float:
    """What of a sign's deviation is weighed: itself or, folded, its distance from the middle beyond the usual one."""
    return abs(value) - FOLD if sign_of(name).folded else value


def case_value(score: Score, entry: MapEntry, judged: Sequence[Judged], absent: Sequence[str]) -> float:
    """The predicted score of a case: the mean of its units by weight.

    A structure that was not found scores 0 where it truly is, and does not count where it is not; so it weighs as much
    as the share of held-back answers without it in which it was missed.
    """
    weights, values = [one.unit.weight for one in judged], [one.value for one in judged]
    if score == "dice":
        usual = sum(weights) / max(1, len({one.unit.part for one in judged}))
        for part in absent:
            own = entry.parts.get(part)
            if own is not None and own.absent:
                weights.append(usual * own.missed / own.absent)
                values.append(0.0)
    return float(np.average(values, weights=weights))


def mean_value(judged: Sequence[Judged]) -> float:
    """The mean of units by weight."""
    return float(np.average([one.value for one in judged], weights=[one.unit.weight for one in judged]))


def ends(score: Score, interval: WidthEntry, predicted: float) -> tuple[float, float]:
    """Both ends of the interval about a predicted score."""
    width = interval.at(badness(score, predicted))
    return max(0.0, predicted - width), min(1.0, predicted + width) if score == "dice" else predicted + width


def linked(link: str, value: float) -> float:
    """A score on the link's scale."""
    floor = LINK_FLOOR[link]
    if link == "plain":
        return value
    if link == "log":
        return math.log(max(value, floor))
    share = min(max(value, floor), 1.0 - floor)
    return math.log(share / (1.0 - share))


def unlinked(link: str, value: float) -> float:
    """The score that lies there on the link's scale."""
    if link == "plain":
        return min(max(value, 0.0), 1.0)
    return math.exp(min(value, 50.0)) if link == "log" else 1.0 / (1.0 + math.exp(-min(max(value, -50.0), 50.0)))


def longer_side(result: Result) -> float:
    """Samples of the longer side of the part of a picture that was looked at."""
    region = result.region
    if region is None or region.all():
        return float(max(result.grid.shape))
    spans = [np.flatnonzero(region.any(axis=axis)) for axis in (1, 0)]
    return float(max(int(span[-1]) - int(span[0]) + 1 if span.size else 1 for span in spans))
