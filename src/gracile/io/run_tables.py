"""The tables of a run folder, for R, pandas and Excel: measurements one by one, and cases with all that is known."""

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from gracile.errors import DataError
from gracile.io.atomic import writing
from gracile.io.predictions_file import PREDICTIONS, read_predictions

MEASUREMENTS, CASES = "measurements.csv", "cases.csv"

_LONG = ("case", "structure", "measure", "value", "unit", "note")
_WIDE = ("case", "status", "reason", "flags")
_FORMULA = ("=", "+", "-", "@", "\t", "\n")
"""What a text begins with that a spreadsheet would compute."""

Row = dict[str, Any]


def measurement_rows(case: str, measurements: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The rows of ``measurements.csv`` of one case.

    Args:
        case: Its name.
        measurements: As records hold them, see `gracile.result.Measurement`.
    """
    return [
        {"case": case, "structure": m["structure"], "measure": m["name"], "value": m["value"], "unit": m["unit"],
         "note": m["note"]}
        for m in measurements
    ]  # fmt: skip


def measure_column(measurement: Mapping[str, Any]) -> str:
    """``artery.caliber_mean_um``, the column of ``cases.csv``; without a structure no dot, for a ratio no unit."""
    unit = "" if measurement["unit"] in ("", "1") else f"_{measurement['unit']}"
    structure = f"{measurement['structure']}." if measurement["structure"] else ""
    return f"{structure}{measurement['name']}{unit}"


def case_row(record: Mapping[str, Any]) -> Row:
    """The row of ``cases.csv`` of a record: what a gate said as ``gate.NAME``, what it decided as ``decision.NAME``."""
    row: Row = {
        "case": record["name"],
        "status": record["status"],
        "reason": record["reason"],
        "flags": "; ".join(record["flags"]),
        **quality_columns(record),
        **grade_column(record),
    }
    row |= {f"gate.{name}": value for name, value in record["gates"].items()}
    row |= {f"decision.{name}": decided for name, decided in record["gate_decisions"].items()}
    for measurement in record["measurements"]:
        row.setdefault(measure_column(measurement), measurement["value"])
    return row


def quality_columns(record: Mapping[str, Any]) -> Row:
    """``predicted_quality``, ``predicted_low``, ``predicted_high`` and ``unlike``, as far as they are known.

    Of landmarks ``predicted_mm`` takes the place of ``predicted_quality``, and the ends are in mm.
    """
    row: Row = {}
    if quality := record.get("quality"):
        name = "predicted_mm" if quality["score"] == "mm" else "predicted_quality"
        row = {name: quality["predicted"], "predicted_low": quality["low"], "predicted_high": quality["high"]}
    return row | ({"unlike": record["unlike"]} if record.get("unlike") is not None else {})


def grade_column(record: Mapping[str, Any]) -> Row:
    """``grade`` of a fundus photograph: ``good``, ``usable`` or ``reject``; nothing of other cases."""
    mark = (record.get("marks") or {}).get("grade")
    return {"grade": mark.get("word")} if isinstance(mark, Mapping) else {}


def measurements_csv(case: str, measurements: Sequence[Mapping[str, Any]]) -> str:
    """The content of a ``measurements.csv`` of one case."""
    text = io.StringIO()
    write_rows(text, _LONG, measurement_rows(case, measurements))
    return text.getvalue()


def write_run_tables(out: Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write ``measurements.csv`` and ``cases.csv`` of all records of a run folder, each whole or not at all.

    Raises:
        DataError: They cannot be written.
    """
    for name, columns, rows in (
        (MEASUREMENTS, list(_LONG), (row for r in records for row in measurement_rows(r["name"], r["measurements"]))),
        (CASES, _columns(_WIDE, (case_row(record) for record in records)), (case_row(record) for record in records)),
    ):
        _write(out / name, columns, rows)


@dataclass(frozen=True)
class JoinedTable:
    """The rows of several run folders, with the columns of all."""

    columns: list[str]
    rows: list[Row]

    def write(self, path: Path) -> None:
        """Write it as CSV. Raises DataError."""
        _write(path, self.columns, self.rows)


def join_runs(folders: Sequence[Path], *, long: bool = False) -> JoinedTable:
    """Join the tables of run folders; each row names the ``run``, the folder as it was given, and its ``model``.

    Args:
        folders: What ``gracile predict`` wrote; one that is given twice counts once.
        long: Rows of ``measurements.csv`` instead of ``cases.csv``.

    Raises:
        DataError: A folder holds no predictions.
    """
    rows: list[Row] = []
    given: dict[str, Path] = {}
    for folder in folders:
        given.setdefault(os.path.realpath(folder), folder)
    for folder in given.values():
        path = folder / PREDICTIONS
        if not path.is_file():
            raise DataError(
                f"There is no {path}.",
                "Name folders that gracile predict wrote; parts of array jobs are joined by gracile merge.",
            )
        content = read_predictions(path)
        first = {"run": str(folder), "model": content["model"]["name"]}
        for record in content["inputs"]:
            own = measurement_rows(record["name"], record["measurements"]) if long else [case_row(record)]
            rows += [{**first, **row} for row in own]
    columns = ["run", "model", *_LONG] if long else _columns(("run", "model", *_WIDE), rows)
    return JoinedTable(columns, rows)


def write_rows(file: TextIO, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write rows as CSV: undefined values empty, numbers in full, decisions as TRUE and FALSE.

    A text that begins as a formula does gets an apostrophe in front, by which spreadsheets know it for a text.

    Source: OWASP, "CSV Injection".
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_cell(column) for column in columns])
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    with writing(path) as part, part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        write_rows(file, columns, rows)


def _columns(first: Sequence[str], rows: Iterable[Row]) -> list[str]:
    """The columns of all rows: the first ones, what gates said and decided, then measures, in the order they come."""
    found = dict.fromkeys(column for row in rows for column in row)
    gates = [column for column in found if column.startswith(("gate.", "decision."))]
    return list(dict.fromkeys([*first, *gates, *found]))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if not isinstance(value, str):
        return str(value)
    text = value.replace("\r\n", "\n").replace("\r", "\n")  # the other line breaks end a row for some readers
    return f"'{text}" if text.startswith(_FORMULA) else text
