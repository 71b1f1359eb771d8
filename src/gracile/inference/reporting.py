"""The report of a prediction run: gathers what a page needs while the results pass by."""

from collections import defaultdict
from datetime import date
from pathlib import Path
from typing import Any

from gracile.case import Case
from gracile.inference.inputs import Shard
from gracile.recipe import Recipe
from gracile.report import Report, ReportCase, distribution_chart, result_layers, write_report
from gracile.result import Measurement, Result

PICTURES = 60
"""Largest number of cases whose pictures lie in the page; the others are in its table."""


class ReportWriter:
    """Collects results, scaled down to what the page shows, and writes ``report/index.html``."""

    def __init__(self, recipe: Recipe, model: str, out: Path) -> None:
        self.recipe = recipe
        self.model = model
        self.out = out
        self.cases: list[ReportCase] = []

    def add(self, case: Case | None, result: Result | None, record: dict[str, Any]) -> None:
        """Take a result, or the bare record of one that was answered before or failed."""
        base, layers = b"", []
        if case is not None and result is not None and len(self.cases) < PICTURES:
            colors = [entry.color for entry in self.recipe.classes]
            base, layers = result_layers(case, result, colors)
        self.cases.append(
            ReportCase(
                id=record["name"],
                status=record["status"],
                reason=record["reason"],
                base=base,
                layers=layers,
                measurements=[Measurement(**m) for m in record.get("measurements", [])],
                scores={},
                flags=record.get("flags", []),
                seconds=record.get("seconds", {}),
            )
        )

    def write(self, shard: Shard | None = None) -> Path:
        """Write the page; a shard writes its own beside the others'."""
        name = f"index.{shard.number}of{shard.count}.html" if shard else "index.html"
        counts = {status: sum(c.status == status for c in self.cases) for status in ("found", "absent", "failed")}
        report = Report(
            title=self.recipe.title,
            subtitle=f"{len(self.cases)} picture(s), model {self.model}, {date.today().isoformat()}",
            recipe_title=self.recipe.name,
            classes=[(entry.name, entry.color) for entry in self.recipe.classes],
            cases=self.cases,
            summary={status: count for status, count in counts.items() if count},
            charts=_charts(self.cases),
            settings=self.recipe.model_dump(mode="json"),
            notes=["Not a medical device. Check every result in its picture before it is used."],
            credits="",
        )
        return write_report(report, self.out / "report" / name)


def _charts(cases: list[ReportCase]) -> list[tuple[str, str]]:
    """How each measurement is distributed over the cases, structures side by side; needs at least three cases."""
    groups: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for case in cases:
        for m in case.measurements:
            if m.value is not None:
                groups[m.name, m.unit][m.structure or "all"].append(m.value)
    return [
        (name.replace("_", " "), distribution_chart(values, unit))
        for (name, unit), values in groups.items()
        if max(len(v) for v in values.values()) >= 3
    ]
