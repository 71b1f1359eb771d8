"""What a bundle's card holds of the prediction of quality: small maps of numbers that a reader can check."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gracile.errors import BundleError
from gracile.io.model_card import QUALITY
from gracile.trust.signs import is_sign

MOST_SIGNS, MOST_PARTS = 64, 1024
SIZES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
"""Percentiles of the size of a structure that a card keeps, to say how many cases are larger or smaller."""

Score = Literal["dice", "mm"]
Link = Literal["plain", "logit", "log"]
By = Literal["subjects", "cases", "t"]
Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e9, le=1e9)]
Positive = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e9)]
Count = Annotated[int, Field(ge=0, le=10**9)]


class Entry(BaseModel):
    """A part of the card; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class SignEntry(Entry):
    """What a sign counts.

    ``weight`` is by how many deviations of its score a unit is better for each deviation of the sign; 0 where the sign
    is only spoken of. ``tells`` is the correlation of the two.
    """

    weight: Number = 0.0
    tells: Annotated[float, Field(ge=-1, le=1)] = 0.0


class PartEntry(Entry):
    """What is usual of a structure or a landmark.

    ``middle`` and ``spread`` of its score on the link's scale, and of each sign on its own; ``sizes`` at the
    percentiles `SIZES`. It was scored in ``cases``; ``absent`` counts answers without it, ``missed`` those where it
    truly was.
    """

    middle: Number
    spread: Positive
    signs: Annotated[dict[str, tuple[Number, Positive]], Field(max_length=MOST_SIGNS)]
    sizes: Annotated[list[Number], Field(max_length=len(SIZES))] = Field(default_factory=list)
    cases: Count = 0
    absent: Count = 0
    missed: Count = 0


class SpreadEntry(Entry):
    """An uncertainty that grows with how bad a score is: ``base + slope * badness``, see `badness`."""

    base: Positive
    slope: Positive

    def at(self, badness: float) -> float:
        """Its value."""
        return self.base + self.slope * badness


class WidthEntry(Entry):
    """How far nine in ten reach: ``factor`` spreads.

    ``by`` says by what that is known: conformal quantiles over ``subjects`` or over ``cases``, or Student's ``t`` where
    there are too few of both, see `gracile.trust.conformal`.
    """

    spread: SpreadEntry
    factor: Positive
    by: By

    def at(self, badness: float) -> float:
        """Half the width."""
        return self.factor * self.spread.at(badness)


class MapEntry(Entry):
    """From signs to a score: on the link's scale a part's ``middle`` and, by as much better, its ``spread`` times
    ``base`` and the weighed deviations of its signs. Of errors, whose link is ``log``, less is better.
    """

    link: Link
    base: Number
    signs: Annotated[dict[str, SignEntry], Field(max_length=MOST_SIGNS)]
    parts: Annotated[dict[str, PartEntry], Field(min_length=1, max_length=MOST_PARTS)]
    interval: WidthEntry
    of_parts: WidthEntry | None = None

    @model_validator(mode="after")
    def _known(self) -> "MapEntry":
        unknown = [name for name in self.signs if not is_sign(name)]
        if unknown:
            raise ValueError(f"there is no sign {unknown[0]!r}")
        return self


class BandEntry(Entry):
    """Half the width of the band around the outline, in ``mm`` or, of pictures, as a ``share`` of the longer side of
    what was looked at.
    """

    width: WidthEntry
    unit: Literal["mm", "share"]


class AbsentEntry(Entry):
    """Answers that found nothing, and how many of them were right."""

    cases: Count
    right: Count


class ClosedEntry(Entry):
    """Answers that a gate closed, and how many of them were right.

    How likely one is right has the logit ``base`` plus ``slope`` times that of the gate's own word.
    """

    base: Number
    slope: Positive
    cases: Count
    right: Count


class LearnedEntry(Entry):
    """What it was learned from, and how good it was on cases that it did not see: mean ``error`` of the predicted
    score, and ``order``, the normalized area under the risk-coverage curve (0 best possible order, 1 random).
    """

    cases: Count
    subjects: Count
    error: Positive
    order: Number | None = None


class QualityEntry(Entry):
    """All of it."""

    score: Score
    map: MapEntry
    area: MapEntry | None = None
    band: BandEntry | None = None
    absent: AbsentEntry | None = None
    closed: ClosedEntry | None = None
    learned: LearnedEntry

    @property
    def sentence(self) -> str:
        """What it was learned from, and how good it was."""
        own, unit = self.learned, "Dice" if self.score == "dice" else "mm"
        order = "" if own.order is None else f", and its order {own.order:.2f} (0 the best possible, 1 a random one)"
        return (
            f"How good answers are is learned from {own.cases} cases of {own.subjects} subjects. Of subjects that it "
            f"was not learned from the mean error of the predicted score is {own.error:.3g} {unit}{order}."
        )


def read_quality(card: Mapping[str, Any]) -> QualityEntry | str | None:
    """What a card holds of it, or why it could not be learned; None where it holds nothing. Raises BundleError."""
    content = card.get(QUALITY)
    if content is None or isinstance(content, str):
        return content
    try:
        return QualityEntry.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BundleError(
            f"The card's prediction of quality cannot be used: {place}: {first['msg']}.", "Copy the bundle again."
        ) from None


def badness(score: Score, value: float) -> float:
    """How bad a score is, from 0 on: what a Dice lacks to 1, or the error in mm itself."""
    return max(0.0, 1.0 - value if score == "dice" else value)


def rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")
