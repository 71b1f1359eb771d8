"""Which values or colors the labels of a data set hold, and the classes that these stand for."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.io.decoding import decode
from gracile.io.unknown_labels import MANY, PALETTE
from gracile.io.volumes import read_voxels
from gracile.names import Kind

MOST_CLASSES = 254
"""Classes that one mask can hold beside the background and what is ignored: it is written in bytes."""

MOST_COLORS = 64
"""Colors of a label beyond which it is a photograph, or one that a JPEG has blurred."""

BLURRED = 40
"""Gray levels within which a value counts as 0 or as 255, as a JPEG leaves them."""

Value = int | tuple[int, int, int]


def values_found(paths: Iterable[Path], kind: Kind) -> Counter[Value]:
    """In how many labels each value, or each RGB color, occurs. Raises DataError for what is no label."""
    found: Counter[Value] = Counter()
    for path in paths:
        found.update(_values_of(path, kind))
    return found


def _values_of(path: Path, kind: Kind) -> set[Value]:
    if kind == "volume":
        values: np.ndarray = read_voxels(path).values
        return {int(v) for v in _whole(path, values)}
    decoded = decode(path)
    values = decoded.values
    if values.ndim == 3 and (values[..., :3] == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim == 2:
        whole = _whole(path, values)
        if decoded.lossy and len(whole) > 2:
            return {0, 255} if all(v <= BLURRED or v >= 255 - BLURRED for v in whole) else {int(v) for v in whole}
        return {int(v) for v in whole}
    colors = np.unique(values[..., :3].reshape(-1, 3), axis=0)
    if len(colors) > MOST_COLORS:
        raise DataError(
            f"{path} holds {len(colors)} colors: a picture, or a label that was compressed.",
            "Save labels as PNG, with whole numbers or few colors.",
        )
    return {(int(r), int(g), int(b)) for r, g, b in colors}


def _whole(path: Path, values: np.ndarray) -> np.ndarray:
    """The values that occur, as whole numbers; soft labels from 0 to 1 count as 0 and 1."""
    found = np.unique(values)
    if not np.isfinite(found).all():
        raise DataError(f"{path} holds values that are no numbers; a label holds class indices.", "Save it again.")
    if (np.abs(found - np.rint(found)) > 1e-3).any():
        if found.min() >= 0 and found.max() <= 1 + 1e-3:
            return np.array([0, 1])
        raise DataError(f"{path} holds fractional values up to {found.max():g}.", "Save labels as whole numbers.")
    if found.min() < 0:
        raise DataError(f"{path} holds negative values; a label holds none.", "Correct it.")
    return np.rint(found).astype(np.int64)


def classes_of(found: Sequence[Value], names: dict[int, str] | None = None) -> list[dict[str, Any]]:
    """The classes that values stand for, as a recipe lists them, the background first.

    Args:
        found: Every value or color that occurs.
        names: Of classes by their value, where the data set says them.

    Raises:
        DataError: There are more than a mask can hold, or no structure.
    """
    colors = cycle(PALETTE)
    known = dict(names or {})
    numbers = sorted({v for v in found if not isinstance(v, tuple)} | set(known))
    tints = sorted(v for v in found if isinstance(v, tuple))
    if tints and numbers and set(numbers) - {0, 255}:
        raise DataError("Some labels hold numbers, others colors.", "Save all of them in one way.")
    if tints:
        return _colored([color for color in tints if any(color)])
    structures = [value for value in numbers if value]
    if not structures:
        raise DataError("Every label is empty.", "A structure is learned from masks that show it.")
    if len(structures) > MOST_CLASSES:
        raise DataError(
            f"The labels hold {len(structures)} classes; a mask of bytes holds {MOST_CLASSES}.",
            "Join classes, or train several models of some each.",
        )
    if len(structures) > MANY and not known and max(structures) > MOST_CLASSES:
        raise DataError(f"The labels hold {len(structures)} values up to {max(structures)}.", "Check the labels.")
    entries: list[dict[str, Any]] = [{"name": known.get(0, "background"), "color": [0, 0, 0]}]
    gaps = structures != list(range(1, len(structures) + 1)) and structures not in ([255], [1, 255])
    if gaps:
        entries[0]["values"] = [0]
    if structures == [255]:
        structures = [1]
    for value in structures:
        single = "structure" if len(structures) == 1 else f"class-{value}"
        entry: dict[str, Any] = {"name": known.get(value, single), "color": list(next(colors))}
        if gaps:
            entry["values"] = [value]
        entries.append(entry)
    return entries


def _colored(colors: Sequence[tuple[int, int, int]]) -> list[dict[str, Any]]:
    if not colors:
        raise DataError("Every label is empty.", "A structure is learned from masks that show it.")
    if len(colors) == 1:
        return [{"name": "background", "color": [0, 0, 0]}, {"name": "structure", "color": list(colors[0])}]
    rest = [{"name": f"class-{number}", "color": list(color)} for number, color in enumerate(colors, start=1)]
    return [{"name": "background", "color": [0, 0, 0]}, *rest]
