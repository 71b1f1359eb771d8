"""The page of a comparison: what got worse first, then the worst, each with what both models found."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gracile.case import Case
from gracile.evaluation import Protocol
from gracile.evaluation.paired import SIDES, Paired, Scores
from gracile.pages.case_page import CasePage, counted
from gracile.recipe import ClassSpec
from gracile.report import ReportCase, ReportLayer, ReportTable, result_layers
from gracile.report.wording import label, number
from gracile.result import Result

WORSE = 0.01
"""A case whose first score fell by at least this much is flagged."""

_HINT = (
    "Differences are after minus before; their interval resamples subjects. The pictures show what is still wrong "
    "after; what was wrong before can be switched on."
)


class ComparisonPage:
    """Collects cases and keeps the pictures of those that most need a look.

    Args:
        classes: What was scored, the background first.
        rules: By which protocol; the first of its headline orders the cases.
    """

    def __init__(self, classes: Sequence[ClassSpec], rules: Protocol) -> None:
        self.classes = classes
        self.rules = rules
        self.main = rules.headline[0]
        self.page = CasePage(f"{self.main}_after", self.main in rules.lower_is_better)

    def add(self, case: Case, truth: np.ndarray, results: Mapping[str, Result], scores: Mapping[str, Scores]) -> None:
        """Take a case with its truth, and by side what was found and its scores."""
        before, after = scores["before"], scores["after"]
        columns: dict[str, float | None] = {}
        for name in (name for name in dict.fromkeys((*self.rules.headline, *after)) if name in after):
            first, second = before[name], after[name]
            change = None if first is None or second is None else second - first
            columns |= {f"{name}_before": first, f"{name}_after": second, f"{name}_difference": change}
        flags = [f"refused {side}: {result.reason}" for side, result in results.items() if result.status == "failed"]
        change = columns.get(f"{self.main}_difference")
        if change is not None and (change if self.page.lower_is_better else -change) >= WORSE:
            flags.append(self._worse)
        entry = ReportCase(case.id, "scored", scores=columns, flags=flags)
        self.page.cases.append(entry)
        if case.image.ndim == 3 and self.page.wants(entry):  # pages draw pictures
            self._draw(entry, case, results, truth)
            self.page.keep(entry)

    @property
    def _worse(self) -> str:
        return f"{label(self.main)} got worse"

    def _draw(self, entry: ReportCase, case: Case, results: Mapping[str, Result], truth: np.ndarray) -> None:
        colors = [spec.color for spec in self.classes]
        layers: dict[str, list[ReportLayer]] = {}
        for side in ("before", "after"):
            entry.base, layers[side] = result_layers(case, replace(results[side], marks={}), colors, truth)
        entry.layers = [
            *_renamed(layers["before"], "Found", "Before"),
            *_renamed(layers["after"], "Found", "After"),
            *_renamed(layers["after"], "Truth", "Truth"),
            *(replace(layer, shown=False) for layer in _renamed(layers["before"], "Differences", "Differences before")),
            *_renamed(layers["after"], "Differences", "Differences"),
        ]

    def write(self, path: Path, paired: Paired, models: Mapping[str, Any], carried: Sequence[str]) -> Path:
        """Write the page.

        Args:
            path: The HTML file.
            paired: The scores of all cases.
            models: By side its name and what else identifies it, for the settings.
            carried: What the model after took over of the one it started from, see its card.
        """
        first = paired.summary[self.main]
        cases = self.page.cases
        names = f"{models['before']['name']} and {models['after']['name']}"
        return self.page.write(
            path,
            title="Before and after",
            subtitle=[names, counted(len(cases), "case"), self.rules.description],
            classes=[(spec.name, spec.color) for spec in self.classes],
            summary={
                "cases": len(cases),
                **{f"{self.main} {side}": number(first[side]["mean"], 4) for side in SIDES},
                "got worse": sum(self._worse in case.flags for case in cases),
            },
            tables=_tables(paired, carried),
            settings={"protocol": paired.protocol, "classes": [spec.name for spec in self.classes[1:]], **models},
            notes=[*(f"{note}." for note in paired.notes), _HINT],
            headline=tuple(f"{name}_{side}" for name in self.rules.headline[:2] for side in SIDES),
            means={
                f"{name}_{side}": (entry[side]["mean"], entry[side]["sd"])
                for name, entry in paired.summary.items()
                for side in SIDES
            },
            intervals=_intervals(paired),
        )


def _renamed(layers: Sequence[ReportLayer], group: str, name: str) -> list[ReportLayer]:
    """The layers of a group under another heading."""
    return [replace(layer, group=name) for layer in layers if layer.group == group]


def _tables(paired: Paired, carried: Sequence[str]) -> list[ReportTable]:
    rows = [[label(name), *cells] for name, *cells in paired.texts()]
    headings = ["score", *SIDES, "95 % interval of the difference", "cases"]
    tables = [ReportTable("Means and standard deviations over the cases", headings, rows)]
    if carried:
        lines = [list(line.partition(": ")[::2]) for line in carried]
        tables.append(ReportTable("What was taken over of the model it started from", ["stage", "layers"], lines))
    return tables


def _intervals(paired: Paired) -> dict[str, str]:
    known = {name: entry["interval95"] for name, entry in paired.summary.items() if entry["interval95"]}
    return {f"{name}_difference": f"{number(low, 4)} to {number(high, 4)}" for name, (low, high) in known.items()}
