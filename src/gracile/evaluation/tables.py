"""Tables of names as other programs write them, and which of their names belong together."""

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from gracile.errors import DataError
from gracile.io import IMAGE_SUFFIXES, pair_files


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a CSV file with a header, blank lines left out, all texts stripped.

    Raises:
        DataError: It cannot be read, lacks one of the columns, has a row of another length, or no row at all.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [[cell.strip() for cell in line] for line in csv.reader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Save it as CSV in UTF-8.") from None
    lines = [line for line in lines if any(line)]
    header = lines[0] if lines else []
    for column in columns:
        if column not in header:
            raise DataError(
                f"{path} has no column {column!r}; its columns are: {', '.join(header) or 'none'}.",
                f"The first line is {','.join(columns)}, with commas; further columns do no harm.",
            )
    for line in lines[1:]:
        if len(line) != len(header):
            raise DataError(f"{path}: the row {','.join(line)!r} has not {len(header)} columns.", "Correct the row.")
    if len(lines) < 2:
        raise DataError(f"{path} has no rows.", "Write one row per picture.")
    return [dict(zip(header, line, strict=True)) for line in lines[1:]]


def read_groups(path: Path, names: Sequence[str]) -> list[str]:
    """The group (such as the patient) of each name, from a CSV with columns ``name`` and ``group``.

    Raises:
        DataError: The table is no such CSV, names twice, or a name that has no group.
    """
    rows = read_rows(path, ("name", "group"))
    group_of = dict(zip(unique([row["name"] for row in rows], path), (row["group"] for row in rows), strict=True))
    met = meet(names, list(group_of))
    lacking = [name for name, other in met.items() if other is None or not group_of[other]]
    if lacking:
        raise DataError(f"{path} has no group for {some(lacking)}.", "Add them.")
    return [group_of[other] for name in names if (other := met[name]) is not None]


def unique(names: Sequence[str], source: Path) -> list[str]:
    """The names without picture suffixes. Raises DataError that lists those that come twice."""
    bare = [bare_name(name) for name in names]
    twice = [name for name, count in Counter(bare).items() if count > 1]
    if twice:
        raise DataError(f"{source} has {some(twice)} more than once.", "Keep one of each.")
    return bare


def bare_name(name: str) -> str:
    """A picture's name without its suffix, where it has one: of ``p1.2`` and ``p1.2.png`` alike ``p1.2``."""
    suffix = next((s for s in sorted(IMAGE_SUFFIXES, key=len, reverse=True) if name.lower().endswith(s)), "")
    return name[: len(name) - len(suffix)] if len(name) > len(suffix) else name


def meet(names: Iterable[str], offered: Sequence[str]) -> dict[str, str | None]:
    """For each name the offered one that is equal or, failing that, fits by `gracile.io.pair_files`.

    Raises:
        DataError: Two could fit.
    """
    names = list(names)
    exact = set(offered)
    left = exact - set(names)
    paths = {Path(f"{name}.png"): name for name in left}
    open_ends = {Path(f"{name}.png"): name for name in names if name not in exact}
    pairs = pair_files(open_ends, sorted(paths))
    found = {open_ends[path]: None if other is None else paths[other] for path, other in pairs.items()}
    return {name: name if name in exact else found[name] for name in names}


def some(names: Sequence[str], shown: int = 8) -> str:
    """The first few of some names, and how many more there are."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
