"""What a data set says of itself before anything is planned: pictures or volumes, channels, classes, landmarks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gracile.data import CaseFiles, find_cases, select
from gracile.data.case_points import read_case_points
from gracile.data.channel_table import nnunet_folder, offered_channels
from gracile.data.csv_paths import csv_table
from gracile.data.declared_classes import read_declared
from gracile.data.layouts import sources
from gracile.errors import DataError, GracileError
from gracile.io import IMAGE_SUFFIXES, POINT_SUFFIXES, is_volume, stem
from gracile.io.decoding import decode
from gracile.io.dicom import is_dicom
from gracile.io.dicom.segmentations import is_segmentation
from gracile.io.naming import is_volume_file
from gracile.io.nnlandmark import ALL_LANDMARKS
from gracile.io.volumes import read_voxels
from gracile.names import Kind, docs_page
from gracile.plan.labels_found import classes_of, listed_classes, values_found
from gracile.recipe import Recipe, read_recipe
from gracile.recipe.reading import recipe_from

MOST_FILES = 20_000
"""Files of a folder that are looked at to say what is wrong with it."""

Truth = Literal["volume labels", "points", "picture labels"]

_TEMPLATES: dict[Truth, str] = {
    "volume labels": "structure-3d", "points": "points-3d", "picture labels": "structure-2d",
}  # fmt: skip
"""In the order in which a data set is tried against them."""


@dataclass
class _Seen:
    """A data set as a template finds it: its content with channels and declared classes, and the labeled cases."""

    truth: Truth
    content: dict[str, Any]
    cases: list[CaseFiles]


def bare_recipe(
    source: str | Path | Sequence[str | Path], warnings: list[str] | None = None, *, cases: str = "", exclude: str = ""
) -> Recipe:
    """A template filled in with what the data say: kind of input, channels, classes and landmarks.

    Classes come from an nnU-Net ``dataset.json``, where there is one beside ``imagesTr``, and else from the values or
    colors of the labels; landmarks from the points' own names.

    Args:
        source: Data folders or CSV files.
        warnings: Takes what a person should know of how classes were told.
        cases: Those to take, as `gracile.data.select` has them; empty takes all.
        exclude: Those to leave out.

    Raises:
        DataError: There is no data set, none of its cases has a label, or the labels are none.
    """
    places = sources(source)
    for place in places:
        if not place.exists():
            raise DataError(f"There is no folder or file {place}.", "Check the path.")
    channels = offered_channels(places[0])
    seen = _seen(places, channels)
    content, chosen = seen.content, select(seen.cases, cases, exclude)
    if seen.truth == "points":
        return recipe_from(content | {"landmarks": [{"name": name} for name in _landmarks(chosen)]})
    kind: Kind = content["input"]["kind"]
    if len(channels) == 1:
        content["input"] |= _channels_inside(chosen[0].image, kind)
        if kind == "volume" and channels[0].upper() == "CT":  # a name that decides how intensities are seen
            content["input"]["channel_names"] = channels
    if any(_declared(place) for place in places):
        return recipe_from(content)
    found = values_found([case.label for case in chosen if case.label is not None], kind)
    classes, said = classes_of(found)
    if warnings is not None:
        warnings += [*found.warnings, *said]
    return recipe_from(content | {"classes": classes})


def _seen(places: Sequence[Path], names: list[str]) -> _Seen:
    """The data set by the first template that finds labeled cases of its kind in it."""
    several = {"channels": len(names), "channel_names": names if all(names) else []} if len(names) > 1 else {}
    faults: dict[Truth, GracileError] = {}
    for truth, name in _TEMPLATES.items():
        content = read_recipe(name).model_dump(mode="json")
        content["input"] |= several
        try:
            if truth != "points":
                content |= next((found for place in places if (found := _declared(place))), {})
            cases = find_cases(list(places), recipe_from(content))
        except GracileError as fault:
            faults[truth] = fault
            continue
        labeled = [case for case in cases if (case.points if truth == "points" else case.label is not None)]
        if labeled and _is_whole(labeled[0]) == (truth != "picture labels"):
            return _Seen(truth, content, labeled)
    likely = _likely(places)
    if likely in faults:
        raise faults[likely]
    raise DataError("None of the cases has a label.", f"Lay them out as in {docs_page('data-layouts.md')}.")


def _is_whole(case: CaseFiles) -> bool:
    """Whether a case is a volume: tables name any files. A DICOM file may be a slice of one, which its truth tells."""
    if case.image.is_dir() or not is_dicom(case.image):
        return case.image.is_dir() or is_volume(case.image)
    return bool(case.points) or (case.label is not None and (is_volume(case.label) or is_segmentation(case.label)))


def _channels_inside(image: Path, kind: Kind) -> dict[str, Any]:
    """Of a file that holds several by itself: a fourth axis, or more samples a pixel than colors have."""
    if kind == "volume":
        values = read_voxels(image).values
        if values.ndim == 4 and values.shape[3] > 1:
            return {"channels": int(values.shape[3]), "fourth_axis": "channels"}
        return {}
    values = decode(image).values
    return {"channels": int(values.shape[2])} if values.ndim == 3 and values.shape[2] not in (1, 3) else {}


def _likely(places: Sequence[Path]) -> Truth:
    """What a data set that fits no template was most likely meant to be, by the names of its files."""
    volumes = pictures = points = labels = slices = 0
    for place in places:
        for path in _files(place):
            name = path.name.lower()
            if is_volume_file(path):
                volumes += 1
                labels += any(word in name or word in path.parent.name.lower() for word in ("label", "mask", "seg"))
            elif name.endswith(tuple(POINT_SUFFIXES)) or name == ALL_LANDMARKS:
                points += not name.endswith((".csv", ".tsv"))
            elif path.suffix.lower() == ".dcm":
                slices += 1
            else:
                pictures += path.suffix.lower() in IMAGE_SUFFIXES
    if not volumes and not pictures and not slices:
        raise DataError(f"{places[0]} holds neither pictures nor volumes.", "Name a folder or a CSV file of paths.")
    if pictures > volumes:
        return "picture labels"
    return "points" if points and not labels else "volume labels"


def _files(place: Path) -> Iterator[Path]:
    """The files of a folder, or those that a table names."""
    if place.is_dir():
        for number, path in enumerate(sorted(place.rglob("*"))):
            if number == MOST_FILES:
                break
            if not path.name.startswith("."):
                yield path
    elif place.suffix.lower() == ".csv":
        for _, row in csv_table(place)[1]:
            yield from (Path(cell.strip().replace("\\", "/")) for cell in row.values() if isinstance(cell, str))


def _landmarks(cases: Sequence[CaseFiles]) -> list[str]:
    """Names of the points that all cases have, in the order of the first."""
    anywhere = np.eye(4)  # only names are wanted, so that no image need be read for files that count in voxels
    found = [list(read_case_points(case.points, (case.id, stem(case.image)), (), anywhere)) for case in cases]
    shared = [name for name in found[0] if all(name in names for names in found)]
    if not shared:
        raise DataError("No point's name is in all cases.", "Name points alike, or write a recipe with `landmarks`.")
    return shared


def _declared(place: Path) -> dict[str, Any]:
    """Classes, regions and what is ignored by an nnU-Net ``dataset.json`` beside ``imagesTr``; empty without one."""
    folder = nnunet_folder(place)
    if folder is None or not (folder / "dataset.json").is_file():
        return {}
    found = read_declared(folder / "dataset.json")
    if not found.regions:
        classes = listed_classes(list(found.classes), found.classes)
    else:
        values = sorted({value for values in found.regions.values() for value in values})
        written = dict(zip(found.written, found.regions, strict=False))
        names = {value: f"{written.get(value, 'class')}-{value}" for value in values}
        classes = listed_classes(values, {0: found.classes.get(0, "background"), **names})
    if found.ignored is not None:
        classes[0]["ignored"] = [found.ignored]
    content: dict[str, Any] = {"classes": classes}
    if found.regions:
        content["regions"] = {
            region: [names[value] for value in sorted(values)] for region, values in found.regions.items()
        }
    return content
