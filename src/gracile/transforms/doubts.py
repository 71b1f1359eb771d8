"""Doubts: what speaks against something, weighed and added up, so that no single threshold decides."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from gracile.errors import BundleError
from gracile.plain_data import read_yaml

MOST = 4.0
"""Spreads from which on a figure speaks no louder, so that one strange figure decides little alone."""


@dataclass(frozen=True)
class Doubt:
    """One figure that speaks against, the more the farther it lies beyond what is usual.

    Args:
        figure: Its name.
        side: Whether low or high values speak against.
        begins: The value from which on they do.
        spread: Distance from there that counts as one.
        weight: What one spread adds.
        words: What is said of it.
    """

    figure: str
    side: Literal["low", "high"]
    begins: float
    spread: float
    weight: float
    words: str

    def excess(self, figures: Mapping[str, float]) -> float:
        """Spreads beyond where it begins, 0 to `MOST`; 0 where the figure is not told."""
        if self.figure not in figures:
            return 0.0
        beyond = figures[self.figure] - self.begins
        return min(max((-beyond if self.side == "low" else beyond) / self.spread, 0.0), MOST)


@dataclass(frozen=True)
class Doubts:
    """Doubts with the sums from which on something is judged otherwise.

    Args:
        doubts: What speaks against.
        limits: By what is said from there on.
    """

    doubts: tuple[Doubt, ...]
    limits: dict[str, float]

    @classmethod
    def read(cls, path: Path) -> "Doubts":
        """Those of a YAML file: ``limits`` by name, and a list of ``doubts``. Raises BundleError."""
        remedy = "Install Gracile again."
        table = read_yaml(path, remedy, kind=BundleError)
        names = {field.name for field in fields(Doubt)}
        if not isinstance(table, dict) or not all(set(row) == names for row in table.get("doubts", [{}])):
            raise BundleError(f"{path} is no table of doubts.", remedy)
        return cls(tuple(Doubt(**row) for row in table["doubts"]), dict(table["limits"]))

    def as_table(self) -> dict[str, Any]:
        """Plain data that `read` takes, to four digits."""
        rows = [{name: _rounded(value) for name, value in vars(doubt).items()} for doubt in self.doubts]
        return {"limits": {name: _rounded(value) for name, value in self.limits.items()}, "doubts": rows}

    def total(self, figures: Mapping[str, float]) -> float:
        """The weighed sum of all doubts."""
        return sum(doubt.weight * doubt.excess(figures) for doubt in self.doubts)

    def words(self, figures: Mapping[str, float], most: int, least: float = 0.25) -> list[str]:
        """What is said of a case, the loudest first.

        Args:
            figures: Of the case.
            most: Largest number of words.
            least: Part of the sum below which nothing is said of a doubt but the loudest.
        """
        loud: dict[str, float] = {}
        for doubt in self.doubts:
            loud[doubt.words] = loud.get(doubt.words, 0.0) + doubt.weight * doubt.excess(figures)
        ordered = sorted((word for word in loud if loud[word] > 0), key=lambda word: -loud[word])
        total = sum(loud.values())
        return [word for place, word in enumerate(ordered[:most]) if place == 0 or loud[word] >= least * total]


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
