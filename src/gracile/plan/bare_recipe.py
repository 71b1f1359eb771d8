"""What a data set says of itself before anything is planned: pictures or volumes, channels, classes, landmarks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gracile.data import find_cases
from gracile.data.case_points import read_case_points
from gracile.data.layouts import sources
from gracile.errors import DataError
from gracile.io import IMAGE_SUFFIXES, POINT_SUFFIXES, read_case_file, stem
from gracile.io.naming import is_volume_file
from gracile.names import Kind
from gracile.plain_data import read_json
from gracile.plan.labels_found import classes_of, values_found
from gracile.recipe import Recipe, read_recipe
from gracile.recipe.reading import recipe_from

MOST_FILES = 20_000
"""Files of a folder that are looked at to tell what it holds."""


def bare_recipe(source: str | Path | Sequence[str | Path]) -> Recipe:
    """A template filled in with what the data say: kind of input, channels, classes and landmarks.

    Classes come from an nnU-Net ``dataset.json``, where there is one, and else from the values or colors of all
    labels; landmarks from the points' own names.

    Raises:
        DataError: There is no data set, none of its cases has a label, or the labels are none.
    """
    places = sources(source)
    kind, points = _kind_of(places)
    template = read_recipe("points-3d" if points else f"structure-{'3d' if kind == 'volume' else '2d'}")
    content = template.model_dump(mode="json")
    declared = next((found for place in places if (found := _declared(place))), {})
    if names := declared.get("channels"):
        content["input"] |= {"channels": len(names), "channel_names": names}
    if points:
        return recipe_from(content | {"landmarks": [{"name": name} for name in _landmarks(places, content)]})
    content |= {"classes": declared["classes"]} if "classes" in declared else {}
    for key in ("regions", "regions_order"):
        if key in declared:
            content[key] = declared[key]
    if "ignore" in declared:
        content["input"]["ignore"] = declared["ignore"]
    recipe = recipe_from(content)
    if "classes" in declared:
        return recipe
    cases = find_cases(list(places), recipe)
    labels = [case.label for case in cases if case.label is not None]
    if not labels:
        raise DataError("None of the cases has a label.", "Lay them out as docs/data-layouts.md says.")
    return recipe_from(content | {"classes": classes_of(list(values_found(labels, kind)))})


def _kind_of(places: Sequence[Path]) -> tuple[Kind, bool]:
    """Whether the sources hold pictures or volumes, and whether the truth is points."""
    volumes = pictures = marks = labels = 0
    for path in _files(places):
        if is_volume_file(path):
            volumes += 1
            labels += any(word in str(path.relative_to(path.parents[1])).lower() for word in ("label", "mask", "seg"))
        elif path.name.lower().endswith(tuple(POINT_SUFFIXES)) or path.name == "all_landmarks_voxel.json":
            marks += 1
        else:
            pictures += path.suffix.lower() in IMAGE_SUFFIXES
    if not volumes and not pictures:
        raise DataError(f"{places[0]} holds neither pictures nor volumes.", "Name a folder or a CSV file of paths.")
    kind: Kind = "volume" if volumes >= pictures else "image"
    return kind, kind == "volume" and marks > 0 and not labels


def _files(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        if not place.exists():
            raise DataError(f"There is no folder or file {place}.", "Check the path.")
        if place.is_file():
            for line in place.read_text(encoding="utf-8-sig", errors="replace").splitlines()[1:200]:
                yield from (Path(cell.strip(' "')) for cell in line.replace(";", ",").split(",") if "." in cell)
        else:
            for number, path in enumerate(sorted(place.rglob("*"))):
                if number == MOST_FILES:
                    break
                if not path.name.startswith("."):
                    yield path


def _landmarks(places: Sequence[Path], content: dict[str, Any]) -> list[str]:
    """Names of the points that all cases have, in the order of the first."""
    found = []
    placeholder = recipe_from(content)
    for case in find_cases(list(places), placeholder):
        if case.points:
            affine = read_case_file(case.image, case.id, placeholder.input).grid.affine
            found.append(list(read_case_points(case.points, (case.id, stem(case.image)), (), affine)))
    if not found:
        raise DataError("No case has points.", "Lay them out as docs/data-layouts.md says.")
    shared = [name for name in found[0] if all(name in names for names in found)]
    if not shared:
        raise DataError("No point's name is in all cases.", "Name points alike, or write a recipe with `landmarks`.")
    return shared


def _declared(place: Path) -> dict[str, Any]:
    """Classes, regions, what is ignored and channels by an nnU-Net ``dataset.json``; empty without one."""
    path = place / "dataset.json"
    if not path.is_file():
        return {}
    table = read_json(path, "Write it anew.")
    if not isinstance(table, dict) or not isinstance(table.get("labels"), dict):
        return {}
    declared: dict[str, Any] = {}
    channels = table.get("channel_names", table.get("modality"))
    if isinstance(channels, dict) and len(channels) > 1:
        declared["channels"] = [str(name) for _, name in sorted(channels.items(), key=lambda one: int(one[0]))]
    labels = table["labels"]
    named = dict(labels)
    if all(str(name).isdigit() for name in labels):  # version 1 has it the other way round
        named = {str(name): int(index) for index, name in labels.items()}
    values = {name: [index] if isinstance(index, int) else list(index) for name, index in named.items()}
    ignore = values.pop("ignore", None)
    if ignore:
        declared["ignore"] = int(ignore[0])
    single = {int(index[0]): name for name, index in values.items() if len(index) == 1}
    everything = sorted({int(one) for indices in values.values() for one in indices})
    declared["classes"] = classes_of(everything, {index: single.get(index, f"class-{index}") for index in everything})
    if any(len(index) > 1 for index in values.values()):
        declared["regions"] = {
            name: [single.get(int(one), f"class-{one}") for one in indices if int(one)]
            for name, indices in values.items()
            if any(indices)
        }
        declared["regions_order"] = [int(one) for one in table.get("regions_class_order", everything[1:])]
    return declared
