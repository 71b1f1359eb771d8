"""What is ordinary: ranges of the figures of a model's training cases, and the fixed ones that hold without them."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from gracile.errors import BundleError
from gracile.trust.figures import FIGURES, Figure, Figures

FEWEST = 3
"""Cases from which on a range is told."""

RARE = 0.002
"""Probability that an ordinary case's figure lies outside of its range, were figures distributed normally."""

WIDEST = 8.0
"""Largest half width of a range, in standard deviations: of two or three subjects Student's t tells nothing."""

ALWAYS = 0.95
"""Share of the cases that show a structure from which on its absence is unusual."""


class Range(BaseModel):
    """What is ordinary of one figure."""

    model_config = ConfigDict(extra="forbid")

    low: float
    middle: float
    high: float
    cases: int


class Ordinary:
    """What is ordinary for a model: a range for each figure.

    Args:
        ranges: By what the figure is of and its name; empty where nothing is known but the fixed rules.
    """

    def __init__(self, ranges: Mapping[tuple[str, str], Range] | None = None) -> None:
        self.ranges = dict(ranges or {})

    @classmethod
    def of(cls, cases: Sequence[Figures], subjects: int | None = None) -> Self:
        """The ranges of some cases' figures.

        A range holds what any of them shows and, on the figure's scale, the prediction interval of one more case:
        mean ± t · deviation · √(1 + 1/n), t at `RARE` (Hahn and Meeker, Statistical Intervals, 1991, section 4.7). Its
        degrees of freedom count subjects, as cases of one subject resemble each other.

        Args:
            cases: Figures of each case.
            subjects: Number of different subjects; None takes each case for one.
        """
        values: dict[tuple[str, str], list[float]] = defaultdict(list)
        for figures in cases:
            for key, value in figures.items():
                values[key].append(value)
        people = len(cases) if subjects is None else subjects
        return cls({key: _range(FIGURES[key[1]], some, people) for key, some in values.items() if len(some) >= FEWEST})

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> Self:
        """Read what `as_card` wrote under ``ordinary`` in a bundle's card. Raises BundleError."""
        try:
            rows = TypeAdapter(dict[str, Range]).validate_python(card.get("ordinary", {}))
        except ValidationError as error:
            raise BundleError(f"The card's ordinary ranges are none: {error}.", "Copy the bundle again.") from None
        keys = {row: row.rpartition(": ") for row in rows}
        return cls({(of, name): rows[row] for row, (of, _, name) in keys.items() if name in FIGURES})

    def as_card(self) -> dict[str, dict[str, float]]:
        """Plain data for a bundle's card: a row for each figure."""
        return {f"{of}: {name}": entry.model_dump() for (of, name), entry in self.ranges.items()}

    def unusual(self, of: str, name: str, value: float) -> str:
        """What is to be said of a figure's value; empty where it is ordinary."""
        figure, own = FIGURES[name], self.ranges.get((of, name))
        low, high = (own.low, own.high) if own is not None else figure.fixed
        return figure.low if value < low else figure.high if value > high else ""


def _range(figure: Figure, values: Sequence[float], subjects: int) -> Range:
    from scipy.special import stdtrit  # slow to import, and only trainings need it

    middle = float(np.median(values))
    if figure.scale == "yes":
        return Range(low=float(np.mean(values) >= ALWAYS), middle=middle, high=1.0, cases=len(values))
    scaled = np.array([figure.scaled(value) for value in values])
    freedom = max(1, min(subjects, len(values)) - 1)
    factor = float(stdtrit(freedom, 1 - RARE / 2)) * math.sqrt(1 + 1 / len(values))
    spread = min(WIDEST, factor) * float(scaled.std(ddof=1))
    least, most = float(min(values)), float(max(values))
    low = figure.unscaled(min(scaled.min() - figure.slack, scaled.mean() - spread))
    high = figure.unscaled(max(scaled.max() + figure.slack, scaled.mean() + spread))
    if least >= figure.fixed[0]:
        low = max(low, figure.fixed[0])
    if most <= figure.fixed[1]:
        high = min(high, figure.fixed[1])
    # What the cases show stays inside, also below the floor of a scale and between rounded digits.
    low, high = min(_rounded(low), least), max(_rounded(high), most)
    return Range(low=low, middle=_rounded(middle), high=high, cases=len(values))


def _rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")
