"""Tables of plain values as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gracile.errors import DataError
from gracile.io.atomic import write_text


def write_table(path: Path | str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV, whole or not at all: a column per name, fractions with four digits, undefined values empty.

    Raises:
        DataError: It cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])
    write_text(path, text.getvalue())


def read_table(path: Path | str) -> list[dict[str, Any]]:
    """Read rows that `write_table` wrote: numbers as numbers, empty cells as None.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as file:
            return [{name: _value(cell) for name, cell in row.items() if name} for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Predict the case again.") from None


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _value(cell: str | None) -> Any:
    if not cell:
        return None
    for kind in (int, float):
        try:
            return kind(cell)
        except ValueError:
            pass
    return cell
