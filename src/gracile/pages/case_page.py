"""The page of cases: gathers them while results pass by, and keeps the pictures of those that most need a look."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from gracile.names import VERSION
from gracile.report import Report, ReportCase, worst_first, write_report
from gracile.report.wording import NOTICE

PICTURES = 60
"""Largest number of cases whose pictures lie in a page; the others are in its table."""


class CasePage:
    """Collects cases in any number; memory grows with their numbers and words, not with their pictures.

    Args:
        order_by: Score by which the cases are ordered; empty orders by status and flags.
        lower_is_better: Whether small values of that score are good.
    """

    def __init__(self, order_by: str = "", lower_is_better: bool = False) -> None:
        self.cases: list[ReportCase] = []
        self.order_by = order_by
        self.lower_is_better = lower_is_better
        self.pictured: list[ReportCase] = []

    @property
    def overflows(self) -> bool:
        """Whether there are more cases than pictures find room."""
        return len(self.cases) > PICTURES

    def wants(self, entry: ReportCase) -> bool:
        """Whether the page has room for a case's picture, or one of a less worrying case to drop."""
        return len(self.pictured) < PICTURES or self._ordered([*self.pictured, entry])[-1] is not entry

    def keep(self, entry: ReportCase) -> None:
        """Keep the pictures that a case now has; the least worrying one too many loses its own."""
        self.pictured = self._ordered([*self.pictured, entry])
        for surplus in self.pictured[PICTURES:]:
            surplus.drop_pictures()
        del self.pictured[PICTURES:]

    def retain(self, cases: Sequence[ReportCase]) -> None:
        """Hold these cases, in this order, and no others."""
        self.cases = list(cases)
        held = {id(case) for case in cases}
        self.pictured = [case for case in self.pictured if id(case) in held]

    def write(
        self, path: Path, *, title: str, subtitle: Sequence[str], notes: Sequence[str] = (), credits: str = "",
        **content: Any,
    ) -> Path:  # fmt: skip
        """Write the page.

        Args:
            path: The HTML file.
            title: Heading.
            subtitle: Its parts, to which the date is added.
            notes: What a reader must know, as sentences; what every page says comes first.
            credits: What it was made by besides Gracile.
            content: Further parts of a `gracile.report.Report`.

        Returns:
            The path.
        """
        report = Report(
            title=title,
            subtitle=", ".join([*subtitle, date.today().isoformat()]),
            cases=self.cases,
            notes=[NOTICE, *notes],
            credits=f"Made with Gracile {VERSION}{credits}.",
            order_by=self.order_by,
            lower_is_better=self.lower_is_better,
            **{"classes": [], **content},
        )
        return write_report(report, path)

    def _ordered(self, cases: Sequence[ReportCase]) -> list[ReportCase]:
        return worst_first(cases, self.order_by, self.lower_is_better)


def counted(number: int, word: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
