"""The outcome of an evaluation: rows per case, their summary, and the ways to write them down."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from gracile.evaluation.bootstrap import bootstrap_interval
from gracile.io import write_json, write_text

if TYPE_CHECKING:
    from rich.table import Table

_LABELS = ("case", "run", "status")


@dataclass
class Evaluation:
    """Scores of a set of cases. All shares are from 0 to 1; an undefined score is None.

    Args:
        protocol: Name of the protocol.
        runs: Number of runs (seeds) that were scored.
        cases: One row per case (and run): ``case``, ``run`` when there are several, ``status``, and the scores.
        classes: One row per case (and run) and class.
        summary: Per score: ``mean`` over cases (over runs of it, when there are several), ``sd_cases`` over cases,
            ``sd_runs`` over runs when there are several, ``cases`` where it is defined, ``total`` of a count, and in
            some protocols ``interval95``, the two ends of the mean's bootstrap interval over cases.
            Standard deviations are those of a sample (n - 1), None for a single value.
        notes: What a reader must know.
        headline: The scores that the table shows first.
        details: What else a protocol says, ready for JSON.
        tables: Rows that the terminal shows below the summary, by title.
    """

    protocol: str
    runs: int
    cases: list[dict[str, Any]]
    classes: list[dict[str, Any]]
    summary: dict[str, dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    headline: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def to_csv(self, path: Path | str, *, per_class: bool = False) -> None:
        """Write a row per case, or per case and class; an undefined score is an empty field."""
        rows = self.classes if per_class else self.cases
        columns = list(dict.fromkeys(name for row in rows for name in row))
        text = StringIO(newline="")
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(path, text.getvalue())

    def to_json(self, path: Path | str) -> None:
        """Write everything; an undefined score is null."""
        write_json(path, self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain data, ready for JSON."""
        return {
            "protocol": self.protocol,
            "runs": self.runs,
            "notes": self.notes,
            "summary": self.summary,
            "cases": self.cases,
            "classes": self.classes,
            **({"details": self.details} if self.details else {}),
        }

    def table(self) -> "Table":
        """The summary as a table for the terminal."""
        from rich.table import Table

        names = {row["case"] for row in self.cases}
        table = Table(title=f"{self.protocol}, {len(names)} cases" + (f", {self.runs} runs" if self.runs > 1 else ""))
        table.add_column("score")
        columns = {"mean": "mean", "sd_cases": "sd over cases"} | ({"sd_runs": "sd over runs"} if self.runs > 1 else {})
        ranged = any("interval95" in entry for entry in self.summary.values())
        for title in (*columns.values(), *(["95 % interval"] if ranged else []), "cases"):
            table.add_column(title, justify="right")
        rest = [name for name in self.summary if name not in self.headline]
        for name in (*(name for name in self.headline if name in self.summary), *rest):
            entry = self.summary[name]
            values = ["-" if entry[key] is None else f"{entry[key]:.4f}" for key in columns]
            table.add_row(name, *values, *([interval_text(entry)] if ranged else []), str(entry["cases"]))
        if self.notes:
            table.caption = "; ".join(self.notes)
        return table

    def more_tables(self) -> list["Table"]:
        """The tables among the details, such as the scores of each landmark, for the terminal."""
        from rich.table import Table

        tables = []
        for title, rows in self.tables.items():
            columns = list(rows[0]) if rows else []
            table = Table(title=title)
            for name in columns:
                words = isinstance(rows[0][name], str)
                table.add_column(name, justify="left" if words else "right", no_wrap=words)
            for row in rows:
                table.add_row(*(_cell(row[name]) for name in columns))
            tables.append(table)
        return tables


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def interval_text(entry: dict[str, Any], digits: int = 4) -> str:
    """The interval of a summary's entry, or a dash."""
    ends = entry.get("interval95")
    return "-" if ends is None else f"{ends[0]:.{digits}f} to {ends[1]:.{digits}f}"


def describe_runs(
    values: Sequence[float], cases: int, runs: int, interval: tuple[float, float] | None
) -> dict[str, Any]:
    """A summary's entry of a score over all cases together.

    Args:
        values: Its value in each run in which it is defined.
        cases: Number of cases.
        runs: Number of runs.
        interval: Its bootstrap interval.
    """
    deviation = {"sd_runs": stdev(values) if len(values) > 1 else None} if runs > 1 else {}
    return {
        "mean": fmean(values) if values else None,
        "sd_cases": None,
        "cases": cases,
        **deviation,
        "interval95": None if interval is None else list(interval),
    }


def summarize(
    rows: Sequence[dict[str, Any]],
    counts: Sequence[str] = (),
    *,
    intervals: bool = False,
    groups: Mapping[str, str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Mean over cases and deviations of every score; see `Evaluation`.

    Args:
        rows: Case rows, with ``run`` when there are several runs.
        counts: Scores that also get a ``total`` (per run, on average).
        intervals: Whether each score gets its bootstrap interval over cases.
        groups: Group (subject) of each case, to resample whole groups.
    """
    runs = sorted({row.get("run", 1) for row in rows})
    summary: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(name for row in rows for name in row if name not in _LABELS):
        by_run: dict[int, list[float]] = {run: [] for run in runs}
        by_case: dict[str, list[float]] = {}
        for row in rows:
            if row.get(name) is not None:
                by_run[row.get("run", 1)].append(row[name])
                by_case.setdefault(row["case"], []).append(row[name])
        means = [fmean(values) for values in by_run.values() if values]
        over_cases = [fmean(values) for values in by_case.values()]
        entry: dict[str, Any] = {
            "mean": fmean(means) if means else None,
            "sd_cases": stdev(over_cases) if len(over_cases) > 1 else None,
            "cases": len(over_cases),
        }
        if len(runs) > 1:
            entry["sd_runs"] = stdev(means) if len(means) > 1 else None
        if intervals:
            interval = bootstrap_interval(over_cases, [groups[case] for case in by_case] if groups else None)
            entry["interval95"] = None if interval is None else list(interval)
        if name in counts:
            entry["total"] = sum(sum(values) for values in by_run.values()) / len(runs)
        summary[name] = entry
    return summary
