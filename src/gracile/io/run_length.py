"""Run-length code of masks as Kaggle's competitions write it, and its CSV files.

Pixels are numbered from 1, top to bottom, then left to right; a mask is pairs ``start length`` with spaces between
("Ultrasound Nerve Segmentation", kaggle.com, 2016, page "Evaluation"). An empty mask is an empty string.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from gracile.errors import DataError
from gracile.io.atomic import write_text

COLUMNS = ("img", "pixels")
_REMEDY = "Its header is img,pixels (or subject,img,pixels), and pixels holds pairs of start and length."


def encode(mask: np.ndarray) -> str:
    """The run-length code of a mask.

    Args:
        mask: ``(height, width)`` bool.

    Example:
        >>> encode(np.array([[True, False], [True, True]]))
        '1 2 4 1'
    """
    flat = np.concatenate([[False], np.asarray(mask, dtype=bool).ravel(order="F"), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    starts, ends = changes[::2], changes[1::2]
    return " ".join(f"{start + 1} {end - start}" for start, end in zip(starts, ends, strict=True))


def decode(code: str, size: tuple[int, int]) -> np.ndarray:
    """The mask of a run-length code, ``(height, width)`` bool.

    Args:
        code: Pairs ``start length``; empty for an empty mask.
        size: (height, width) of the mask.

    Raises:
        DataError: What is no pair of numbers, overlapping or disordered runs, or one outside the mask.
    """
    words = code.split()
    if len(words) % 2 or not all(word.isdecimal() and word.isascii() for word in words):
        raise DataError(f"{_short(code)} is no run-length code.", _REMEDY)
    starts, lengths = np.array(words, dtype=object).reshape(-1, 2).T if words else ((), ())
    flat = np.zeros(size[0] * size[1], dtype=bool)
    last = 0
    for start, length in zip((int(s) for s in starts), (int(n) for n in lengths), strict=True):
        if start <= last or length < 1:
            raise DataError(f"{_short(code)} has runs that overlap or are out of order, at {start}.", _REMEDY)
        last = start + length - 1
        if last > flat.size:
            raise DataError(
                f"A run ends at pixel {last}, and a mask of {size[1]} x {size[0]} has {flat.size}.",
                "Give the size of the pictures that the code was made from, as HEIGHT,WIDTH.",
            )
        flat[start - 1 : last] = True
    return flat.reshape(size, order="F")


def write_csv(path: Path | str, codes: Mapping[str, str]) -> None:
    """Write codes by picture name as ``img,pixels``, whole or not at all."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    rows.writerows(codes.items())
    write_text(path, text.getvalue())


def read_csv(path: Path | str) -> dict[str, str]:
    """Read a CSV of codes by picture name.

    With a column ``subject``, as in the competition's ``train_masks.csv``, the name is ``SUBJECT_IMG``.

    Raises:
        DataError: The file is unreadable, has other columns, or names a picture twice.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}).", "Check the name.") from None
    rows = csv.DictReader(lines)
    usual = csv.field_size_limit(max(csv.field_size_limit(), *map(len, lines), 0))  # a picture's code is one field
    try:
        if not set(COLUMNS) <= set(rows.fieldnames or ()):
            raise DataError(f"{path} has no columns img and pixels.", _REMEDY)
        return _named(path, rows)
    except csv.Error as error:
        raise DataError(f"{path}, line {rows.line_num}: {error}.", _REMEDY) from None
    finally:
        csv.field_size_limit(usual)


def _named(path: Path, rows: Iterable[Mapping[str, str | None]]) -> dict[str, str]:
    codes: dict[str, str] = {}
    for row in rows:
        name = "_".join(part for key in ("subject", "img") if (part := (row.get(key) or "").strip()))
        if not name.isprintable() or not name or "/" in name or "\\" in name or name.startswith("."):
            raise DataError(f"{path}: {name!r} names no picture.", _REMEDY)
        if name in codes:
            raise DataError(f"{path} names the picture {name!r} twice.", "Keep one line for each picture.")
        codes[name] = (row["pixels"] or "").strip()
    return codes


def _short(code: str) -> str:
    return repr(code if len(code) <= 40 else code[:37] + "...")
