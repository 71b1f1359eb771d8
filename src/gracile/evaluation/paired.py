"""The same cases scored before and after something was changed: differences, and how sure they are."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from gracile.evaluation.bootstrap import bootstrap_interval
from gracile.io import write_text

if TYPE_CHECKING:
    from rich.table import Table

SIDES = ("before", "after", "difference")

Scores = Mapping[str, float | None]


@dataclass
class Paired:
    """Scores of the same cases before and after.

    Args:
        protocol: Name of the protocol.
        cases: Per case ``case``, ``subject``, and by each of `SIDES` its scores; a difference is after minus before,
            and None where one of the two is undefined.
        summary: Per score and side ``mean`` and ``sd`` over the cases in which both are defined (a sample's, None for
            one case), ``cases``, how many these are, and ``interval95`` of the mean difference, by resampling whole
            subjects; None for fewer than two of them.
        notes: What a reader must know.
        headline: The scores to show first.
    """

    protocol: str
    cases: list[dict[str, Any]]
    summary: dict[str, dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    headline: tuple[str, ...] = ()

    def to_csv(self, path: Path | str) -> None:
        """Write a row per case; an undefined score is an empty field."""
        rows = [
            {"case": row["case"], "subject": row["subject"]}
            | {f"{name}_{side}": row[side].get(name) for name in self.summary for side in SIDES}
            for row in self.cases
        ]
        text = StringIO(newline="")
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(path, text.getvalue())

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data, ready for JSON."""
        return {"protocol": self.protocol, "notes": self.notes, "summary": self.summary, "cases": self.cases}

    def table(self) -> "Table":
        """The summary as a table for the terminal."""
        from rich.table import Table

        table = Table(title=f"{self.protocol}, {len(self.cases)} cases")
        for index, title in enumerate(("score", *SIDES, "95 % interval", "cases")):
            table.add_column(title, justify="right" if index else "left")
        for row in self.texts(deviations=False):
            table.add_row(*row)
        if self.notes:
            table.caption = "; ".join(self.notes)
        return table

    def texts(self, *, deviations: bool = True) -> list[list[str]]:
        """A row per score: its name, mean and deviation by side, the interval of the difference, the cases."""
        rest = [name for name in self.summary if name not in self.headline]
        rows = []
        for name in (*(name for name in self.headline if name in self.summary), *rest):
            entry = self.summary[name]
            cells = [_mean_text(entry[side], side == "difference", deviations) for side in SIDES]
            ends = entry["interval95"]
            interval = "-" if ends is None else f"{ends[0]:+.4f} to {ends[1]:+.4f}"
            rows.append([name, *cells, interval, str(entry["cases"])])
        return rows


def _mean_text(entry: Mapping[str, float | None], signed: bool, deviation_too: bool) -> str:
    mean, deviation = entry["mean"], entry["sd"]
    if mean is None:
        return "-"
    text = f"{mean:{'+' if signed else ''}.4f}"
    return text if deviation is None or not deviation_too else f"{text} ± {deviation:.4f}"


def pair_scores(
    protocol: str,
    before: Mapping[str, Scores],
    after: Mapping[str, Scores],
    subjects: Mapping[str, str],
    headline: tuple[str, ...] = (),
) -> Paired:
    """Set the scores of the same cases side by side.

    Args:
        protocol: Name of the protocol that gave them.
        before: Scores by case.
        after: Scores of the same cases.
        subjects: Subject of each case: cases of one are alike, so that whole subjects are resampled.
        headline: The scores to show first.
    """
    names = list(dict.fromkeys(name for scores in (*before.values(), *after.values()) for name in scores))
    rows: list[dict[str, Any]] = []
    for case in before:
        first, second = dict(before[case]), dict(after[case])
        difference = {name: _difference(first.get(name), second.get(name)) for name in names}
        rows.append(
            {"case": case, "subject": subjects[case], "before": first, "after": second, "difference": difference}
        )
    summary: dict[str, dict[str, Any]] = {}
    for name in names:
        known = [row for row in rows if row["difference"][name] is not None]
        entry: dict[str, Any] = {side: _spread([row[side][name] for row in known]) for side in SIDES}
        differences = [row["difference"][name] for row in known]
        interval = bootstrap_interval(differences, [row["subject"] for row in known])
        summary[name] = {**entry, "interval95": None if interval is None else list(interval), "cases": len(known)}
    return Paired(protocol, rows, summary, headline=headline)


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _spread(values: list[float]) -> dict[str, float | None]:
    return {"mean": fmean(values) if values else None, "sd": stdev(values) if len(values) > 1 else None}
