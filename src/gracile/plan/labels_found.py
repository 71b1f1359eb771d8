"""Which values or colors the labels of a data set hold, and the classes that these stand for."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.io import read_labels
from gracile.io.class_indices import COLOR_TOLERANCE, WHOLE
from gracile.io.decoding import decode, require_one_page
from gracile.io.unknown_labels import MANY, PALETTE
from gracile.io.volumes import read_voxels
from gracile.names import Kind
from gracile.recipe import ClassSpec

MOST_CLASSES = 254
"""Classes that one mask can hold beside the background and what is ignored: it is written in bytes."""

MOST_COLORS = 64
"""Colors of a label beyond which it is a photograph, or one that a JPEG has blurred."""

SECONDS = 12.0
"""After which no further label is read: planning takes a minute at most."""

FEWEST = 20
"""Labels that come first, spread evenly over all, so that those read within the seconds are no one hospital's."""

AT_ONCE = 1 << 22
"""Samples that are counted at once: counting takes eight bytes for each."""

VOID = 255
"""What many data sets write where nobody could tell."""

Color = tuple[int, int, int]
Value = int | Color

BLACK, WHITE = (0, 0, 0), (255, 255, 255)

_TWO = (ClassSpec(name="background", color=BLACK), ClassSpec(name="structure", color=WHITE))
"""Of a mask of black and white."""


@dataclass
class LabelsFound:
    """What the labels hold.

    Args:
        values: Whole numbers that occur in any of them; of colored labels RGB colors.
        with_void: Numbers that occur in one label together with `VOID`.
        soft: Whether one was cut at half, as smooth or JPEG-compressed masks are.
        read: How many were read.
        labels: How many there are.
    """

    values: set[Value] = field(default_factory=set)
    with_void: set[int] = field(default_factory=set)
    soft: bool = False
    read: int = 0
    labels: int = 0

    @property
    def warnings(self) -> list[str]:
        """What a person should know of how the classes were told."""
        if self.read == self.labels:
            return []
        return [
            f"Classes are told from {self.read} of {self.labels} labels, spread over the set: large ones take long to "
            "read. Where others hold more values, name the classes in a recipe or in dataset.json."
        ]


def values_found(paths: Sequence[Path], kind: Kind, seconds: float = SECONDS) -> LabelsFound:
    """The values, or the RGB colors, of labels; at least of one, and of no further one after some seconds.

    Raises:
        DataError: One of them is no label.
    """
    found, start = LabelsFound(labels=len(paths)), time.monotonic()
    stride = max(1, -(-len(paths) // FEWEST))
    for path in (path for first in range(stride) for path in paths[first::stride]):
        if found.read and time.monotonic() - start > seconds:
            break
        found.read += 1
        whole = kind == "volume"
        values: set[Value] = {*_whole(path, read_voxels(path).values)} if whole else _of_picture(path, found)
        numbers = {number for value in values if (number := _number(value)) is not None}
        found.with_void |= numbers if VOID in numbers else set()
        found.values |= values
    plain = {_number(value) for value in found.values}
    if None not in plain:  # no label has colors: what was saved in three equal channels is numbers
        found.values = {number for number in plain if number is not None}
    return found


def _number(value: Value) -> int | None:
    """A whole number, also one that was saved in three equal channels; None for a color."""
    if not isinstance(value, tuple):
        return value
    return value[0] if len(set(value)) == 1 else None


def _of_picture(path: Path, found: LabelsFound) -> set[Value]:
    """The values of a picture, colors where it has three channels, be they equal."""
    decoded = decode(path)
    require_one_page(path, decoded)
    values = decoded.values
    if decoded.alpha is not None:
        opaque = decoded.alpha >= 0.5
        values = values * (opaque if values.ndim == 2 else opaque[..., None])
    if values.ndim == 3 and values.shape[2] != 3:
        raise DataError(f"{path} has {values.shape[2]} channels; a label has 1 or 3.", "Save class indices.")
    hue = 0 if values.ndim == 2 else int(np.ptp(values, axis=2).max(initial=0))
    if hue <= (COLOR_TOLERANCE if decoded.lossy else 0):
        flat = values if values.ndim == 2 else values[..., 1]
        numbers = _whole(path, flat)
        if _is_cut_at_half(path, numbers, decoded.lossy):
            found.soft, numbers = True, {0, VOID}
        return set(numbers) if values.ndim == 2 else {(number, number, number) for number in numbers}
    packed = values[..., 0].astype(np.int64) << 16 | values[..., 1].astype(np.int64) << 8 | values[..., 2]
    colors = np.unique(packed)
    if len(colors) > MOST_COLORS:
        raise DataError(
            f"{path} holds {len(colors)} colors: a picture, or a label that was compressed.",
            "Save labels as PNG, with whole numbers or few colors.",
        )
    return {(color >> 16, color >> 8 & 255, color & 255) for color in colors.tolist()}


def _is_cut_at_half(path: Path, numbers: set[int], lossy: bool) -> bool:
    """Whether shades between black and white are but the soft edges of a mask, as training reads it.

    Raises:
        DataError: A JPEG of many values that is none.
    """
    if len(numbers) < 3 and not (lossy and max(numbers) > 1):
        return False
    try:
        return bool(read_labels(path, _TWO, notes=[]).any())
    except DataError:
        if lossy and len(numbers) > MANY:
            raise
        return False


def _whole(path: Path, values: np.ndarray) -> set[int]:
    """The values that occur, as whole numbers; soft labels from 0 to 1 count as 0 and 1."""
    found: set[int] = set()
    fractions, highest = False, -np.inf
    for part in _parts(values):
        if part.dtype.kind == "f":
            if not np.isfinite(part).all():
                raise DataError(
                    f"{path} holds values that are no numbers; a label holds class indices.", "Save it again."
                )
            nearest = np.rint(part)
            fractions |= bool(np.abs(part - nearest).max() > WHOLE)
            highest = max(highest, float(part.max()))
            lowest = float(part.min() if fractions else nearest.min())
            part = nearest.astype(np.int64)
        else:
            lowest = float(part.min())
        if lowest < 0:
            raise DataError(f"{path} holds negative values; a label holds none.", "Correct it.")
        counted = part.max() < 1 << 16  # many times as fast as sorting
        there = np.flatnonzero(np.bincount(part.astype(np.int64, copy=False))) if counted else np.unique(part)
        found.update(there.tolist())
    if fractions and highest > 1 + WHOLE:
        raise DataError(f"{path} holds fractional values up to {highest:g}.", "Save labels as whole numbers.")
    return {0, 1} if fractions else found


def _parts(values: np.ndarray) -> Iterator[np.ndarray]:
    """All samples, some at a time, in the order in which they lie in memory, so that none is moved."""
    flat = values.ravel(order="K")
    for start in range(0, flat.size, AT_ONCE):
        part = flat[start : start + AT_ONCE]
        yield part.astype(np.uint8) if part.dtype.kind == "b" else part


def classes_of(found: LabelsFound) -> tuple[list[dict[str, Any]], list[str]]:
    """The classes that values stand for, as a recipe lists them, the background first, and what was concluded.

    0 and 1 in some labels, 0 and 255 in others are one structure. 255 beside other values is what nobody could tell.

    Raises:
        DataError: There are more than a mask can hold, no structure, or colors beside numbers.
    """
    numbers = {value for value in found.values if not isinstance(value, tuple)}
    tints = {value for value in found.values if isinstance(value, tuple)}
    if tints:
        entries = _colored(tints)
        if numbers - ({0, 255} if len(entries) == 2 else {0}):
            raise DataError("Some labels hold numbers, others colors.", "Save all of them in one way.")
        return entries, []
    if numbers <= {0, 1, VOID} and not {1, VOID} <= found.with_void:
        entries = listed_classes([0, 1] if numbers - {0} else [])
        if {1, VOID} <= numbers and not found.soft:  # values that are declared are not cut at half
            entries[0]["values"], entries[1]["values"] = [0], [1, VOID]
        return entries, []
    classes = sorted(numbers - {VOID})
    if VOID not in numbers or classes != list(range(classes[0], len(classes) + classes[0])) or classes[0] > 1:
        return listed_classes(sorted(numbers)), []
    entries = listed_classes(classes)
    entries[0]["ignored"] = [VOID]
    said = (
        f"Labels hold {VOID} beside classes up to {classes[-1]}: it is taken for what nobody could tell, and ignored."
    )
    return entries, [f"{said} Where it is a structure, name it in a recipe or in dataset.json."]


def listed_classes(numbers: Sequence[int], names: dict[int, str] | None = None) -> list[dict[str, Any]]:
    """A class for each of some numbers.

    Args:
        numbers: That stand for classes, that of the background, 0, among them or not.
        names: By number, where the data set says them.

    Raises:
        DataError: There are more than a mask can hold, or no structure.
    """
    colors, known = cycle(PALETTE), dict(names or {})
    structures = sorted({*numbers, *known} - {0})
    if not structures:
        raise DataError("Every label is empty.", "A structure is learned from masks that show it.")
    _require_few(len(structures))
    if len(structures) > MANY and not known and max(structures) > MOST_CLASSES:
        raise DataError(f"The labels hold {len(structures)} values up to {max(structures)}.", "Check the labels.")
    entries: list[dict[str, Any]] = [{"name": known.get(0, "background"), "color": list(BLACK)}]
    gaps = structures != list(range(1, len(structures) + 1))
    for value in structures:
        single = "structure" if len(structures) == 1 else f"class-{value}"
        entries.append({"name": known.get(value, single), "color": list(next(colors))})
    if gaps:
        for entry, value in zip(entries, [0, *structures], strict=True):
            entry["values"] = [value]
    return entries


def _colored(colors: set[Color]) -> list[dict[str, Any]]:
    """A class for each color but the background's, which is black, or white where nothing is black."""
    background = next((color for color in (BLACK, WHITE) if color in colors), None)
    if background is None:
        shown = ", ".join(str(color) for color in sorted(colors)[:4])
        raise DataError(
            f"No label holds black or white ({shown}): nothing tells which color is the background.",
            "Name the classes and their colors in a recipe.",
        )
    rest = sorted(colors - {background})
    _require_few(len(rest))
    names = ["structure"] if len(rest) == 1 else [f"class-{number}" for number in range(1, len(rest) + 1)]
    named = zip(["background", *names], [background, *rest], strict=True)
    return [{"name": name, "color": list(color)} for name, color in named]


def _require_few(structures: int) -> None:
    if structures > MOST_CLASSES:
        raise DataError(
            f"The labels hold {structures} classes; a mask of bytes holds {MOST_CLASSES}.",
            "Join classes, or train several models of some each.",
        )
