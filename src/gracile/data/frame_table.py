"""What a table says of the frames of clips: whose they are, when they were, what they show, and who said so."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from gracile.data.case_files import CaseFiles
from gracile.data.csv_paths import Row, csv_table
from gracile.data.listing import Listing
from gracile.data.moments import MOMENT_COLUMNS, moment_of
from gracile.errors import DataError
from gracile.io import stem
from gracile.recipe import Recipe
from gracile.recipe.stages import NO, YES

TABLE = "labels.csv"
"""Beside the folders of images and labels."""

COLUMNS = ("subject", "present", *MOMENT_COLUMNS)
"""What is read beside ``name``; other columns are whatever their owner likes."""


def add_frame_table(source: Path, recipe: Recipe, listing: Listing) -> None:
    """Give the cases of a folder what its ``labels.csv`` says of them, and order them by subject, clip and time.

    The table is read where it has the column ``name``, the image's, and one of `COLUMNS`. ``subject`` is the person,
    ``clip`` one of that person's clips (one for each person where it is not said), ``time_s`` or ``frame`` the order
    in it, ``present`` whether the structures of a presence gate are there, ``source`` who labeled it, ``weight`` how
    often it is drawn in learning. Rows of images that are not there are passed over.

    Args:
        source: The data folder.
        recipe: Whose gates say what ``present`` means; where they tell kinds apart, or there are none, it is not read.
        listing: The cases; faults are noted in it.
    """
    table = source / TABLE
    if not table.is_file():
        return
    try:
        header, lines = csv_table(table)
        columns = {column.lower() for column in header}
        if "name" not in columns or not columns & set(COLUMNS):
            return
        rows = dict(_named(table, lines, {stem(case.image) for case in listing.cases}))
    except DataError as fault:
        listing.faults.append(fault)
        return
    reads_presence = bool(recipe.gates) and not any(gate.classes for gate in recipe.gates)
    found = []
    for case in listing.cases:
        try:
            found.append(_case(table, case, rows, reads_presence))
        except DataError as fault:
            listing.faults.append(fault)
    listing.cases = sorted(found, key=_in_time)


def _named(table: Path, lines: Iterator[tuple[int, Row]], images: set[str]) -> Iterator[tuple[str, tuple[int, Row]]]:
    """Line and row of each image that is there, by its stem."""
    seen = set()
    for line, row in lines:
        cell = (row.get("name") or "").strip()
        name = cell if cell in images else stem(Path(cell))
        if name in seen:
            raise DataError(f"{table}, line {line}: {cell} has a row already.", "Keep one of them.")
        if name in images:
            seen.add(name)
            yield name, (line, row)


def _case(table: Path, case: CaseFiles, rows: Mapping[str, tuple[int, Row]], reads_presence: bool) -> CaseFiles:
    if stem(case.image) not in rows:
        # Guessed from its name, its subject might be another person on the other side of a split.
        raise DataError(f"{table} does not name {case.image.name}.", "Add its row, or remove the picture.")
    line, row = rows[stem(case.image)]
    where = f"{table}, line {line}"
    subject = (row.get("subject") or "").strip() or case.subject
    word = (row.get("present") or "").strip().casefold() if reads_presence else ""
    if word and word not in (*YES, *NO):
        raise DataError(f"{where}: present is {word!r}.", f"Write one of {', '.join((*YES, *NO))}.")
    return replace(case, subject=subject, frame_class=word, moment=moment_of(where, row, subject))


def _in_time(case: CaseFiles) -> tuple[str, str, float, str]:
    moment = case.moment
    return (case.subject, moment.clip, moment.order, case.id) if moment else (case.subject, "", 0.0, case.id)
