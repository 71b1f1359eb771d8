"""The table of cases that the page sorts and filters: the columns of ``cases.csv``, from the records alone.

Folders of every age have the records, so that the page needs no table beside them.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gracile.io.run_tables import measure_column, quality_columns
from gracile.report import ReportCase, worst_first
from gracile.report.wording import label, unit_text
from gracile.result import Quality

_FIRST = (("case", "Case"), ("status", "Status"), ("reason", "Reason"), ("flags", "Flags"))
_TRUST = {
    "predicted_quality": "Predicted score", "predicted_mm": "Predicted error (mm)", "predicted_low": "Lower end",
    "predicted_high": "Upper end", "unlike": "Unlike the training images",
}  # fmt: skip
_FIGURES = 6


def case_table(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All cases as one small table, those that most need a look first.

    Returns:
        ``columns``: each with its ``key`` as in ``cases.csv``, the ``label`` that it is shown by, its ``group``, and
        whether it holds a ``number``. ``rows``: the cells by column, None where there is nothing; those of the flags
        are numbers of ``flags``, the texts. ``order``: for each row the case's number among the records.
    """
    cases = [
        ReportCase(str(i), r["status"], flags=r.get("flags", []), quality=_quality(r), unlike=r.get("unlike"))
        for i, r in enumerate(records)
    ]
    order = [int(case.id) for case in worst_first(cases)]
    cells = [_cells(record) for record in records]
    columns: dict[str, dict[str, Any]] = {
        key: {"key": key, "label": shown, "group": "", "number": False} for key, shown in _FIRST
    }
    for columns_of in (_quality_columns, _gate_columns, _measure_columns):
        for record in records:
            columns |= {key: column for key, column in columns_of(record).items() if key not in columns}
    texts = list(dict.fromkeys(flag for record in records for flag in record.get("flags", [])))
    places = {flag: number for number, flag in enumerate(texts)}
    rows = []
    for index in order:
        record = records[index]
        flags = [places[flag] for flag in record.get("flags", [])]
        first = [record["name"], record["status"], record.get("reason", ""), flags]
        rows.append([*first, *(cells[index].get(key) for key in list(columns)[len(_FIRST) :])])
    return {"columns": list(columns.values()), "flags": texts, "order": order, "rows": rows}


def _quality(record: Mapping[str, Any]) -> Quality | None:
    return None if record.get("quality") is None else Quality.from_summary(record["quality"])


def _quality_columns(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The columns of ``cases.csv`` on how far an answer can be trusted."""
    return {
        key: {"key": key, "label": _TRUST[key], "group": "Predicted", "number": True} for key in quality_columns(record)
    }


def _gate_columns(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    said = [(f"gate.{name}", name, True) for name in record.get("gates", {})]
    decided = [(f"decision.{name}", f"{name}, decided", False) for name in record.get("gate_decisions", {})]
    return {
        key: {"key": key, "label": shown, "group": "Gate", "number": number} for key, shown, number in [*said, *decided]
    }


def _measure_columns(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    columns = {}
    for m in record.get("measurements", []):
        shown = " ".join(filter(None, (label(m["name"]), f"({unit_text(m['unit'])})" if unit_text(m["unit"]) else "")))
        key = measure_column(m)
        columns[key] = {"key": key, "label": shown, "group": m.get("structure") or "Whole case", "number": True}
    return columns


def _cells(record: Mapping[str, Any]) -> dict[str, float | str | None]:
    cells: dict[str, float | str | None] = {
        f"gate.{name}": _rounded(value) for name, value in record.get("gates", {}).items()
    }
    cells |= {f"decision.{name}": str(value).upper() for name, value in record.get("gate_decisions", {}).items()}
    cells |= {key: _rounded(value) for key, value in quality_columns(record).items()}
    return cells | {measure_column(m): _rounded(m["value"]) for m in record.get("measurements", [])}


def _rounded(value: float | None) -> float | None:
    """A number short enough to travel; none that JSON has no word for."""
    return float(f"{value:.{_FIGURES}g}") if value is not None and math.isfinite(value) else None
