"""The classes that an nnU-Net data set declares, beside those of a recipe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gracile.errors import DataError
from gracile.plain_data import read_json
from gracile.recipe import Recipe

IGNORE = "ignore"
"""What nnU-Net calls the value that counts for nothing."""


@dataclass
class Declared:
    """The table of labels of a ``dataset.json``.

    Args:
        classes: Names by value.
        regions: Values of each region, in the order in which they are written; empty where classes do not overlap.
        written: Value that each region is written as, in the same order.
        ignored: Value that counts for nothing; None where there is none.
    """

    classes: dict[int, str] = field(default_factory=dict)
    regions: dict[str, frozenset[int]] = field(default_factory=dict)
    written: list[int] = field(default_factory=list)
    ignored: int | None = None


def read_declared(path: Path) -> Declared:
    """Read ``{"vein": 2}``, in version 1 ``{"2": "vein"}``, or regions, ``{"whole": [1, 2]}``. Raises DataError."""
    try:
        content = read_json(path, "Write it anew.")
        table: Mapping[Any, Any] = content["labels"]
        found = Declared()
        for key, value in table.items():
            name, values = (str(value), [int(key)]) if str(key).isdigit() else (str(key), _values(value))
            if name.casefold() == IGNORE and len(values) == 1 and not str(key).isdigit():
                found.ignored = values[0]
            elif len(values) == 1 and values[0] == 0:
                found.classes[0] = name
            else:
                found.regions[name] = frozenset(values)
        if all(len(values) == 1 for values in found.regions.values()):
            found.classes |= {value: name for name, (value,) in found.regions.items()}
            found.regions = {}
        elif "regions_class_order" in content:
            found.written = [int(value) for value in content["regions_class_order"]]
    except (DataError, ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            f"{path} has no table of labels.", 'Write it as {"labels": {"background": 0, "nerve": 1}}.'
        ) from None
    return found


def _values(value: Any) -> list[int]:
    return [int(one) for one in value] if isinstance(value, list) else [int(value)]


def class_fault(path: Path, recipe: Recipe) -> DataError | None:
    """In what the classes, the regions or the ignored value of a ``dataset.json`` differ from a recipe's, if in any."""
    if not path.is_file():
        return None
    try:
        declared = read_declared(path)
    except DataError as fault:
        return fault
    ignored = recipe.classes[0].ignored
    if declared.ignored is not None and declared.ignored not in ignored:
        return DataError(
            f"{path} declares the value {declared.ignored} to be ignored, and the recipe {recipe.name} does not.",
            f"Say so: --set 'classes.0.ignored=[{declared.ignored}]'",
        )
    if declared.regions:
        return _region_fault(path, declared, recipe)
    wanted = {value: recipe.class_names[index] for value, index in _index_of(recipe).items()}
    if {i: n.casefold() for i, n in declared.classes.items()} == {i: n.casefold() for i, n in wanted.items()}:
        return None
    shown = [", ".join(f"{i} {names[i]}" for i in sorted(names)) for names in (declared.classes, wanted)]
    return DataError(
        f"{path} declares the classes {shown[0]}; the recipe {recipe.name} has {shown[1]}.",
        "Name the same classes in the same order in both.",
    )


def _region_fault(path: Path, declared: Declared, recipe: Recipe) -> DataError | None:
    """In what regions differ; a recipe without regions may learn the classes that they are made of."""
    values = set[int]().union(*declared.regions.values())
    index_of = _index_of(recipe)
    wanted = {value for value, index in index_of.items() if index}
    if values != wanted:
        shown = [", ".join(str(value) for value in sorted(some)) for some in (values, wanted)]
        return DataError(
            f"{path} declares regions of the values {shown[0]}; the recipe {recipe.name} has classes {shown[1]}.",
            "Name a class for each value.",
        )
    if not recipe.regions:
        return None
    regions = {name: frozenset(index_of[value] for value in members) for name, members in declared.regions.items()}
    written = {name.casefold(): index_of.get(value) for name, value in zip(regions, declared.written, strict=False)}
    own = {name: frozenset(members) for name, members in recipe.structures.items()}
    if {name.casefold(): members for name, members in regions.items()} != {
        name.casefold(): members for name, members in own.items()
    } or (declared.written and written != dict(zip(map(str.casefold, own), recipe.written, strict=True))):
        typed = {name: [recipe.class_names[index] for index in sorted(members)] for name, members in regions.items()}
        said = "; ".join(f"{name}: {', '.join(members)}" for name, members in typed.items())
        return DataError(
            f"{path} declares other regions than the recipe {recipe.name}, or writes them as other classes: {said}.",
            "Name the same regions in the order of regions_class_order in both.",
        )
    return None


def _index_of(recipe: Recipe) -> dict[int, int]:
    """The class that each value of a label means: those that the recipe declares, else the classes' own indices."""
    declared = {value: index for index, spec in enumerate(recipe.classes) for value in spec.values}
    return declared or {index: index for index in range(len(recipe.classes))}
