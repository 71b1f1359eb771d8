"""A data set as a CSV that names each case's files, its subject and what kind of frame it is."""

import codecs
import csv
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from gracile.data.case_files import CaseFiles
from gracile.data.listing import Listing
from gracile.data.moments import MOMENT_COLUMNS, moment_of
from gracile.errors import DataError
from gracile.io import stem
from gracile.io.naming import channel_of
from gracile.recipe import InputSpec, Recipe

CSV_COLUMNS = ("image", "label", "region", "points", "subject", "id", "class")
CHANNEL_COLUMN = "image_"
"""What the columns of channels begin with: ``image_t1`` and ``image_t2`` stand in place of ``image``."""

_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t|])"?\s*$', re.IGNORECASE)
"""Excel's first line that says what parts the cells."""
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How what Excel calls Unicode text begins."""
_CSV_REMEDY = (
    f"The header is image (or image_NAME for each channel), label, points or class, and, as needed, "
    f"{', '.join(CSV_COLUMNS[2:6])}, of frames also {', '.join(MOMENT_COLUMNS)}; paths are relative to the CSV."
)


Row = dict[str, str | None]
"""The cells of a line by their column."""


def csv_of_paths(source: Path, recipe: Recipe) -> Listing | None:
    """The cases of a CSV; paths are relative to it. Raises DataError when it cannot be read or has other columns."""
    return _cases_of(source, recipe.input, unlabeled=False)


def images_of_csv(source: Path, wanted: InputSpec) -> Listing | None:
    """The same of a CSV that need not name labels, points or classes; None where it is no CSV."""
    return _cases_of(source, wanted, unlabeled=True)


def _cases_of(source: Path, wanted: InputSpec, *, unlabeled: bool) -> Listing | None:
    if source.suffix.lower() != ".csv" or not source.is_file():
        return None
    header, rows = csv_table(source)
    columns = [name.lower() for name in header]
    if twice := [name for name in dict.fromkeys(columns) if columns.count(name) > 1]:
        raise DataError(f"{source} has the column {twice[0]!r} twice.", "Remove one of them.")
    _require_columns(source, columns, unlabeled=unlabeled)
    images = _image_columns(source, columns, wanted)
    listing = Listing()
    for line, row in rows:
        try:
            listing.cases.append(_csv_case(source, line, row, images, wanted))
        except DataError as fault:
            listing.faults.append(fault)
    if not listing.cases and not listing.faults:
        listing.faults.append(DataError(f"{source} names no image.", _CSV_REMEDY))
    return listing


def csv_table(source: Path) -> tuple[list[str], Iterator[tuple[int, Row]]]:
    """The header of a CSV, and its rows that hold something: each one's line, and cells by column in small letters.

    Text is UTF-8 or what Excel calls Unicode; cells are parted by commas, semicolons or tabs, or by what Excel's first
    line ``sep=|`` says.

    Raises:
        DataError: It cannot be read; of a broken row once that is reached.
    """
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
        columns = [name.strip() for name in rows.fieldnames or ()]
    except csv.Error as error:
        raise DataError(f"{source}, line 1: {error}.", "Save it as CSV.") from None
    while columns and not columns[-1]:  # Excel writes what once was a column, now empty
        columns.pop()
    rows.fieldnames = [name.lower() for name in columns]
    return columns, _rows_of(source, rows, skipped)


def _rows_of(source: Path, rows: "csv.DictReader[str]", skipped: int) -> Iterator[tuple[int, Row]]:
    try:
        for row in rows:
            if any("".join(cells or "").strip() for cells in row.values()):
                yield rows.line_num + skipped, row
    except csv.Error as error:
        line = rows.line_num + skipped + 1
        raise DataError(f"{source}, line {line}: {error}.", "Save it as CSV; check the quotes.") from None


def _require_columns(source: Path, columns: list[str], *, unlabeled: bool) -> None:
    known = (*CSV_COLUMNS, *MOMENT_COLUMNS)
    unknown = [name for name in columns if name not in known and not name.startswith(CHANNEL_COLUMN)]
    has_image = any(name == "image" or name.startswith(CHANNEL_COLUMN) for name in columns)
    if unknown or not has_image or not (unlabeled or {"label", "points", "class"} & set(columns)):
        # A mistyped "subject" that is passed over would put one person on both sides of a split.
        lacking = "no column image" if unlabeled else "no column image, or neither label nor class nor points"
        reason = f"unknown columns {', '.join(unknown)}" if unknown else lacking
        raise DataError(f"{source} has {reason}.", f"{_CSV_REMEDY} Rename or remove other columns.")


def _image_columns(source: Path, columns: list[str], wanted: InputSpec) -> list[str]:
    """The columns of a case's images in the order of the recipe's channels. Raises DataError where they do not fit."""
    found = [name for name in columns if name.startswith(CHANNEL_COLUMN)]
    if not found:
        return ["image"]
    named = [name.removeprefix(CHANNEL_COLUMN) for name in found]
    if "image" in columns:
        raise DataError(
            f"{source} has the column image and columns of channels ({', '.join(found)}).", "Keep one of the two."
        )
    known = [f"{CHANNEL_COLUMN}{name}".casefold() for name in wanted.channel_names]
    if known:
        lacking, strange = ([n for n in some if n not in other] for some, other in ((known, found), (found, known)))
        if lacking or strange:
            said = f"no column {' and '.join(lacking)}" if lacking else f"the column {strange[0]}, which is no channel"
            raise DataError(
                f"{source} has {said}; the recipe's channels are {', '.join(wanted.channel_names)}.",
                "Rename, add or remove columns, or set input.channel_names.",
            )
        return known
    if len(found) != wanted.channels:
        raise DataError(
            f"{source} names {len(found)} channels ({', '.join(named)}), and the recipe takes {wanted.channels}.",
            f"Set input.channels={len(found)} and input.channel_names=[{', '.join(named)}].",
        )
    return found


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


def _id_of(image: Path, channel: str) -> str:
    """A case's id by its first file: without the number or the name of its channel, as ``p1`` of ``p1_t1.nii.gz``."""
    numbered = channel_of(image) if channel else None
    whole = numbered[0] if numbered else stem(image)
    named = channel and not numbered and whole.casefold().endswith(f"_{channel}".casefold())
    return (whole[: -len(channel) - 1] if named else whole) or stem(image)


def _csv_case(source: Path, line: int, row: Row, columns: list[str], wanted: InputSpec) -> CaseFiles:
    cells = {name: (row.get(name) or "").strip() for name in (*CSV_COLUMNS, *columns)}
    if "".join(row.get(None) or ()).strip():  # type: ignore[call-overload]
        raise DataError(f"{source}, line {line}: there are more cells than columns.", "Quote names that hold a comma.")
    names = [column.removeprefix(CHANNEL_COLUMN) for column in columns]
    for index, column in enumerate(columns):
        if not cells[column]:
            case = cells["id"] or stem(next((cells[name] for name in columns if cells[name]), ""))
            lacks = "no image is named" if len(columns) < 2 else f"the case {case} lacks {wanted.channel(index, names)}"
            raise DataError(f"{source}, line {line}: {lacks}.", _CSV_REMEDY)
    images = [path for column in columns if (path := _named(source, cells[column])) is not None]
    label, region, points = (_named(source, cells[name]) for name in CSV_COLUMNS[1:4])
    for path in (*images, label, region, points):
        if path is not None and not _is_there(path, or_folder=path in images):
            raise DataError(f"{source}, line {line}: there is no file {str(path)[:300]}.", _CSV_REMEDY)
    id = cells["id"] or _id_of(images[0], names[0] if len(images) > 1 else "")
    if re.search(r"[/\\:\s]", cells["id"]) or id in (".", ".."):
        raise DataError(f"{source}, line {line}: the id {id!r} cannot name a file.", "Use letters, digits, _ and -.")
    found = (points,) if points else ()
    subject, further = cells["subject"] or id, tuple(images[1:])
    moment = moment_of(f"{source}, line {line}", row, subject)
    return CaseFiles(id, images[0], label, region, subject, cells["class"], found, further, moment)
