"""What a data set says of itself before anything is planned: pictures or volumes, channels, classes, landmarks."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gracile.data import find_cases
from gracile.data.case_points import read_case_points
from gracile.data.channel_table import offered_channels
from gracile.data.declared_classes import read_declared
from gracile.data.layouts import sources
from gracile.errors import DataError
from gracile.io import IMAGE_SUFFIXES, POINT_SUFFIXES, read_case_file, stem
from gracile.io.decoding import decode
from gracile.io.naming import is_volume_file
from gracile.io.volumes import read_voxels
from gracile.names import Kind, docs_page
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
    names = offered_channels(places[0])
    if len(names) > 1:
        content["input"] |= {"channels": len(names), "channel_names": names if all(names) else []}
    if points:
        return recipe_from(content | {"landmarks": [{"name": name} for name in _landmarks(places, content)]})
    content |= declared
    if len(names) == 1:
        content["input"] |= _channels_inside(find_cases(list(places), recipe_from(content))[0].image, kind)
    recipe = recipe_from(content)
    if declared:
        return recipe
    cases = find_cases(list(places), recipe)
    labels = [case.label for case in cases if case.label is not None]
    if not labels:
        raise DataError("None of the cases has a label.", f"Lay them out as in {docs_page('data-layouts.md')}.")
    return recipe_from(content | {"classes": classes_of(list(values_found(labels, kind)))})


def _channels_inside(image: Path, kind: Kind) -> dict[str, Any]:
    """Of a file that holds several by itself: a fourth axis, or more samples a pixel than colors have."""
    if kind == "volume":
        values = read_voxels(image).values
        if values.ndim == 4 and values.shape[3] > 1:
            return {"channels": int(values.shape[3]), "fourth_axis": "channels"}
        return {}
    values = decode(image).values
    return {"channels": int(values.shape[2])} if values.ndim == 3 and values.shape[2] not in (1, 3) else {}


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
        raise DataError("No case has points.", f"Lay them out as in {docs_page('data-layouts.md')}.")
    shared = [name for name in found[0] if all(name in names for names in found)]
    if not shared:
        raise DataError("No point's name is in all cases.", "Name points alike, or write a recipe with `landmarks`.")
    return shared


def _declared(place: Path) -> dict[str, Any]:
    """Classes, regions and what is ignored by an nnU-Net ``dataset.json``; empty without one."""
    path = place / "dataset.json"
    if not path.is_file():
        return {}
    found = read_declared(path)
    if not found.regions:
        classes = classes_of(list(found.classes), found.classes)
    else:
        values = sorted({value for values in found.regions.values() for value in values})
        written = dict(zip(found.written, found.regions, strict=False))
        names = {value: f"{written.get(value, 'class')}-{value}" for value in values}
        classes = classes_of(values, {0: found.classes.get(0, "background"), **names})
    if found.ignored is not None:
        classes[0]["ignored"] = [found.ignored]
    content: dict[str, Any] = {"classes": classes}
    if found.regions:
        content["regions"] = {
            region: [names[value] for value in sorted(values)] for region, values in found.regions.items()
        }
    return content
