"""Label values and colors that no class of a recipe has, and what to type so that some have."""

import shlex
from collections.abc import Collection, Iterator, Sequence
from itertools import cycle
from typing import Any, Protocol

import yaml

from gracile.case import IGNORED
from gracile.errors import DataError

RGB = tuple[int, int, int]

MANY = 32
"""Values beyond which a picture is hardly a label."""

PALETTE: tuple[RGB, ...] = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
"""Colors that people of every color vision tell apart (Okabe and Ito 2008)."""


class LabelClass(Protocol):
    """What a reader must know of a class: its name, and the colors and index values that stand for it in labels."""

    @property
    def name(self) -> str: ...

    @property
    def colors(self) -> Sequence[Sequence[int]]: ...

    @property
    def values(self) -> Sequence[int]: ...


class UnknownLabels(DataError):
    """A label that holds values or colors which no class has.

    Args:
        message: What it holds.
        classes: The classes that there are.
        found: Every value or color that none of them has.
    """

    def __init__(self, message: str, classes: Sequence[LabelClass], found: Collection[int] | Collection[RGB]) -> None:
        self.found = frozenset(found)
        super().__init__(message, what_to_type(classes, self.found))


def what_to_type(classes: Sequence[LabelClass], found: Collection[Any]) -> str:
    """The setting of a recipe with a class for each value or color that none has yet, as a remedy."""
    if len(found) > MANY and all(isinstance(one, int) for one in found):
        most = f"A recipe has up to {IGNORED - 1} classes besides the background"
        return f"{most}: list these {len(found)} in its file, or check that it is a label and no picture."
    if len(found) > MANY:
        return f"{len(found)} values are no labels: check that it is not a picture, and save it without smoothing."
    numbers = [one for one in sorted(found) if not isinstance(one, tuple)]
    if any(number < 0 for number in numbers):
        return "A label holds no negative values: correct it."
    declared = any(spec.values for spec in classes)
    coded = declared or (bool(numbers) and {*range(len(classes)), *numbers} != set(range(len(classes) + len(numbers))))
    taken = {tuple(color) for spec in classes for color in spec.colors}
    free = cycle([color for color in PALETTE if color not in taken] or PALETTE)
    entries = [_entry(spec, index, coded, free) for index, spec in enumerate(classes)]
    for one in sorted(found):
        if isinstance(one, tuple):
            entries.append({"name": f"class-{len(entries)}", "color": list(one)})
        else:
            entries.append({"name": f"class-{one}", "color": list(next(free))} | ({"values": [one]} if coded else {}))
    text = yaml.safe_dump(entries, default_flow_style=True, sort_keys=False, width=100_000).strip()
    return f"Correct the label, or name its classes: --set {shlex.quote(f'classes={text}')}"


def _entry(spec: LabelClass, index: int, coded: bool, free: Iterator[RGB]) -> dict[str, Any]:
    colors = spec.colors or [next(free) if index else (0, 0, 0)]
    first, *others = [list(color) for color in colors]
    entry: dict[str, Any] = {"name": spec.name, "color": first}
    if others:
        entry["also"] = others
    if coded:
        entry["values"] = list(spec.values) or [index]
    if opposite := getattr(spec, "opposite", ""):
        entry["opposite"] = opposite
    return entry
