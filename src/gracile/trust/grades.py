"""Grades of fundus photographs: good, usable or reject, with the reasons; a reject withholds measures."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gracile.case import Case
from gracile.recipe import Recipe
from gracile.result import Result
from gracile.transforms.doubts import Doubts
from gracile.trust.photograph_figures import photograph_figures

TABLE = Path(__file__).with_name("photograph_grades.yaml")

MARK = "grade"
"""Where a result's marks hold it."""

SMALLEST = 250
"""Extent of a field of view in pixels below which a photograph is not graded: sharpness cannot be told in it."""

Word = Literal["good", "usable", "reject"]


@dataclass(frozen=True)
class Grade:
    """The grade of a photograph.

    Args:
        word: ``good``, ``usable`` (look twice) or ``reject``.
        reasons: Such as ``blurred``, the loudest first; none of a good one.
        total: Sum of what speaks against it.
    """

    word: Word
    reasons: tuple[str, ...] = ()
    total: float = 0.0

    @property
    def sentence(self) -> str:
        """``reject: blurred, dark``."""
        return f"{self.word}: {', '.join(self.reasons)}" if self.reasons else self.word

    def summary(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {"word": self.word, "reasons": list(self.reasons), "doubts": round(self.total, 3)}


@cache
def doubts_of_photographs() -> Doubts:
    """What speaks against a photograph, and the sums from which on it is usable only, or to be rejected."""
    return Doubts.read(TABLE)


def grade_of(figures: dict[str, float], doubts: Doubts) -> Grade:
    """The grade of a photograph by its figures, see `gracile.trust.photograph_figures.photograph_figures`."""
    total = doubts.total(figures)
    word: Word = "good"
    if total >= doubts.limits["usable"]:
        word = "reject" if total >= doubts.limits["reject"] else "usable"
    return Grade(word, () if word == "good" else tuple(doubts.words(figures, most=2)), total)


def grade(case: Case, result: Result, recipe: Recipe) -> None:
    """Grade a photograph and add the grade to its result; a reject's measures are withheld where the recipe says so.

    Args:
        case: The photograph.
        result: What was found and measured in it; changed in place.
        recipe: Says whether its cases are fundus photographs, and what a reject costs.
    """
    if recipe.input.region != "fundus" or case.image.shape[0] != 3 or result.region is None or not result.region.any():
        return
    if _extent(result.region) < SMALLEST:
        result.notes.append(f"not graded: the field of view is smaller than {SMALLEST} pixels")
        return
    own = grade_of(photograph_figures(case.image, result.region, result.mask), doubts_of_photographs())
    result.marks[MARK] = own.summary()
    if own.word == "good":
        return
    result.flags.append(f"the photograph is graded {own.sentence}")
    if own.word == "reject" and recipe.input.rejected == "withhold":
        withhold(result, f"withheld: the photograph is graded {own.sentence}")


def _extent(region: np.ndarray) -> int:
    return int(max(np.ptp(np.flatnonzero(region.any(axis=axis))) + 1 for axis in (0, 1)))


def withhold(result: Result, why: str) -> None:
    """Take the values of a result's measurements back, and what is drawn of them; the mask stays."""
    result.measurements = [replace(measurement, value=None, note=why) for measurement in result.measurements]
    result.tables = {}
    for mark in ("zone_b", "zone_vessels"):
        result.marks.pop(mark, None)
    result.notes.append(
        "measures of photographs that are graded reject are withheld: --set input.rejected=flag tells them"
    )
