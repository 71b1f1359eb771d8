"""A data set as a CSV that names each case's files, its subject and what kind of frame it is."""

import codecs
import csv
import re
import unicodedata
from pathlib import Path

from gracile.data.case_files import CaseFiles
from gracile.data.listing import Listing
from gracile.errors import DataError
from gracile.io import stem
from gracile.recipe import Recipe

CSV_COLUMNS = ("image", "label", "region", "points", "subject", "id", "class")
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t|])"?\s*$', re.IGNORECASE)
"""Excel's first line that says what parts the cells."""
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How what Excel calls Unicode text begins."""
_CSV_REMEDY = (
    f"The header is image, label, points or class, and, as needed, {', '.join(CSV_COLUMNS[2:6])}; "
    "paths are relative to the CSV."
)


def csv_of_paths(source: Path, recipe: Recipe) -> Listing | None:
    """The cases of a CSV; paths are relative to it. Raises DataError when it cannot be read or has other columns."""
    if source.suffix.lower() != ".csv" or not source.is_file():
        return None
    try:
        content = source.read_bytes()
        lines = content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{source} cannot be read: {error.strerror}.", "Check its rights.") from None
    except UnicodeDecodeError:
        raise DataError(f"{source} is not UTF-8.", "Save it as UTF-8 text; in Excel as CSV UTF-8.") from None
    named = _SEPARATOR_LINE.match(lines[0]) if lines else None
    skipped = 1 if named else 0
    lines = lines[skipped:]
    header = lines[0] if lines else ""
    delimiter = named[1] if named else next((mark for mark in ",;\t" if mark in header), ",")
    rows = csv.DictReader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        columns = [name.strip().lower() for name in rows.fieldnames or ()]
    except csv.Error as error:
        raise DataError(f"{source}, line 1: {error}.", "Save it as CSV.") from None
    while columns and not columns[-1]:  # Excel writes what once was a column, now empty
        columns.pop()
    rows.fieldnames = columns
    if twice := [name for name in dict.fromkeys(columns) if columns.count(name) > 1]:
        raise DataError(f"{source} has the column {twice[0]!r} twice.", "Remove one of them.")
    unknown = [name for name in columns if name not in CSV_COLUMNS]
    if unknown or "image" not in columns or not {"label", "points", "class"} & set(columns):
        # A mistyped "subject" that is passed over would put one person on both sides of a split.
        reason = (
            f"unknown columns {', '.join(unknown)}"
            if unknown
            else "no column image, or neither label nor class nor points"
        )
        raise DataError(f"{source} has {reason}.", f"{_CSV_REMEDY} Rename or remove other columns.")
    listing = Listing()
    try:
        for row in rows:
            if not any("".join(cells or "").strip() for cells in row.values()):
                continue
            try:
                listing.cases.append(_csv_case(source, rows.line_num + skipped, row))
            except DataError as fault:
                listing.faults.append(fault)
    except csv.Error as error:
        line = rows.line_num + skipped + 1
        raise DataError(f"{source}, line {line}: {error}.", "Save it as CSV; check the quotes.") from None
    if not listing.cases and not listing.faults:
        listing.faults.append(DataError(f"{source} names no image.", _CSV_REMEDY))
    return listing


def _named(source: Path, cell: str) -> Path | None:
    """The file that a cell names: as written, or, where that is none, with Windows' separators or composed anew."""
    if not cell:
        return None
    spelled = dict.fromkeys([cell, cell.replace("\\", "/")])
    tries = [source.parent / unicodedata.normalize(form, one) for one in spelled for form in ("NFC", "NFD")]
    return next((path for path in [source.parent / cell, *tries] if _is_there(path, or_folder=True)), tries[-2])


def _is_there(path: Path, *, or_folder: bool) -> bool:
    """Whether a path that someone wrote down is one of a file; one that no disk could have is not."""
    try:
        return path.is_file() or (or_folder and path.is_dir())
    except (OSError, ValueError):
        return False


def _csv_case(source: Path, line: int, row: dict[str, str | None]) -> CaseFiles:
    cells = {name: (row.get(name) or "").strip() for name in CSV_COLUMNS}
    if "".join(row.get(None) or ()).strip():  # type: ignore[call-overload]
        raise DataError(f"{source}, line {line}: there are more cells than columns.", "Quote names that hold a comma.")
    if not cells["image"]:
        raise DataError(f"{source}, line {line}: no image is named.", _CSV_REMEDY)
    image, label, region, points = (_named(source, cells[name]) for name in CSV_COLUMNS[:4])
    assert image is not None
    for path in (image, label, region, points):
        if path is not None and not _is_there(path, or_folder=path == image):
            raise DataError(f"{source}, line {line}: there is no file {str(path)[:300]}.", _CSV_REMEDY)
    id = cells["id"] or stem(image)
    if re.search(r"[/\\:\s]", cells["id"]) or id in (".", ".."):
        raise DataError(f"{source}, line {line}: the id {id!r} cannot name a file.", "Use letters, digits, _ and -.")
    return CaseFiles(id, image, label, region, cells["subject"] or id, cells["class"], (points,) if points else ())
