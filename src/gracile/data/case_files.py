"""The files of one case, and what is done with a list of them: read, name, select."""

import difflib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gracile.case import Case
from gracile.data.case_points import read_case_points
from gracile.errors import DataError
from gracile.io import (
    read_case_file,
    read_labels,
    read_region,
    read_volume_labels,
    read_volume_region,
    stem,
)
from gracile.io.naming import telling_folders
from gracile.recipe import Recipe


@dataclass(frozen=True)
class CaseFiles:
    """The files that make one case.

    Args:
        id: Name that is unique among the cases found together: the image's stem, or the CSV's ``id``.
        image: The image.
        label: Its label, or None.
        region: Mask of the part of the image that counts (field of view), or None.
        subject: Person that the case belongs to: the CSV's ``subject``, else the id.
        frame_class: What kind of frame it is: the CSV's ``class`` or the name of its class folder; else empty.
        points: Files of its named points, for recipes with landmarks.
    """

    id: str
    image: Path
    label: Path | None
    region: Path | None
    subject: str
    frame_class: str = ""
    points: tuple[Path, ...] = ()

    @property
    def key(self) -> tuple[Path, ...]:
        """What makes it a case of its own: one image may be two, with the points of either side."""
        return (self.image.resolve(), *self.points)


def read_case(files: CaseFiles, recipe: Recipe) -> Case:
    """Read a case's image and, where there are any, its label, region and points.

    Raises:
        DataError: A file is unreadable or of the wrong kind, a label holds an unknown value, or sizes or grids differ.
    """
    case = read_case_file(files.image, files.id, recipe.input)
    case.subject, case.frame_class = files.subject, files.frame_class
    if recipe.input.kind == "volume":
        return _with_volume_truth(case, files, recipe)
    size = case.grid.shape
    truth = read_labels(files.label, recipe.classes) if files.label is not None else None
    region = read_region(files.region) if files.region is not None else None
    for path, array in ((files.label, truth), (files.region, region)):
        if path is not None and array is not None:
            require_size(files.image, size, path, array)
    case.truth = truth
    if region is not None:
        case.region = region
    return case


def _with_volume_truth(case: Case, files: CaseFiles, recipe: Recipe) -> Case:
    """A volume's case with its label and region, turned to its axes."""
    if files.label is not None:
        labels = read_volume_labels(files.label, recipe.classes, case.grid)
        case.truth = labels.values
        case.notes += labels.notes
    if files.region is not None:
        case.region = read_volume_region(files.region, case.grid)
    if files.points and recipe.landmarks:
        ids = (files.id, stem(files.image))
        case.points = read_case_points(files.points, ids, recipe.landmark_names, case.grid.affine)
    return case


def require_size(image: Path, size: tuple[int, ...], other: Path, array: np.ndarray) -> None:
    """Raise DataError when a label or region does not have the ``(height, width)`` of its image."""
    if array.shape != size:
        raise DataError(
            f"{other} has {size_text(array.shape)} pixels, its image {image} has {size_text(size)}.",
            "A label or region has the size of its image: export it again, or correct the pairing.",
        )


def size_text(shape: tuple[int, ...]) -> str:
    """``(height, width)`` as people write it, ``width x height``; the size of a volume in the order of its file."""
    return " x ".join(str(length) for length in (shape if len(shape) > 2 else reversed(shape)))


def labeled(cases: list[CaseFiles]) -> list[CaseFiles]:
    """The cases that have a label, a frame class or points."""
    return [case for case in cases if case.label is not None or case.frame_class or case.points]


def select(cases: list[CaseFiles], include: str = "", exclude: str = "") -> list[CaseFiles]:
    """Keep some cases of a list, in its order.

    Args:
        cases: What was found.
        include: Cases to take; empty takes all. Comma-separated ids or image stems, or the path of a ``.txt`` file
            (separated by commas or lines) or of a ``.json`` file (a list).
        exclude: Cases to leave out, written the same way.

    Raises:
        DataError: A name that no case has, or a stem that several cases share; nothing is left.
    """
    taken = _named(cases, include) if include.strip() else {case.id for case in cases}
    left_out = _named(cases, exclude) if exclude.strip() else set()
    chosen = [case for case in cases if case.id in taken - left_out]
    if cases and not chosen:
        raise DataError("No case is left after the selection.", "Take more cases or exclude fewer.")
    return chosen


def _named(cases: list[CaseFiles], text: str) -> set[str]:
    """Ids of the cases that a selection names."""
    ids = {case.id for case in cases}
    by_stem: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        by_stem[stem(case.image)].append(case.id)
    chosen = set()
    unknown = []
    for name in case_names(text):
        matches = [name] if name in ids else by_stem.get(name, [])
        if len(matches) > 1:
            raise DataError(f"{name!r} may be {' or '.join(sorted(matches))}.", "Give the id instead of the stem.")
        if matches:
            chosen.add(matches[0])
        else:
            unknown.append(name)
    if unknown:
        near = difflib.get_close_matches(unknown[0], [*ids, *by_stem], n=3)
        shown = ", ".join(sorted(ids)[:8]) + (", ..." if len(ids) > 8 else "")
        remedy = f"Did you mean {' or '.join(near)}?" if near else f"There are: {shown}."
        raise DataError(f"No case is named {', '.join(unknown)}.", remedy)
    return chosen


def case_names(text: str) -> list[str]:
    """The names in a comma-separated list or in the file that it is the path of."""
    path = Path(text.strip())
    if path.suffix.lower() not in (".txt", ".json"):
        return [name for part in text.split(",") if (name := part.strip())]
    try:
        content = path.read_text(encoding="utf-8-sig")
        listed = json.loads(content) if path.suffix.lower() == ".json" else content.replace("\n", ",").split(",")
    except (OSError, ValueError) as error:
        raise DataError(f"The list of cases {path} cannot be read ({error}).", "Check its path and content.") from None
    if not isinstance(listed, list) or not all(isinstance(name, str | int) for name in listed):
        raise DataError(f"{path} is not a list of ids.", 'Write it as ["33", "42"].')
    return [name for item in listed if (name := str(item).strip())]


def unique_ids(cases: list[CaseFiles]) -> list[CaseFiles]:
    """Tell cases of one id apart by the last parent folder in which their images differ, put in front.

    A subject that is the id follows it; one from a CSV stays, so that one person in two tables stays one.

    Raises:
        DataError: Ids are equal even so.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for index, case in enumerate(cases):
        groups[case.id].append(index)
    named = list(cases)
    for id, members in groups.items():
        if len(members) == 1:
            continue
        fronts = telling_folders([cases[index].image for index in members])
        for front, index in zip(fronts, members, strict=True):
            new = f"{front}-{id}" if front else id
            subject = new if cases[index].subject == id else cases[index].subject
            named[index] = replace(cases[index], id=new, subject=subject)
    repeated = [id for id, count in Counter(case.id for case in named).items() if count > 1]
    if repeated:
        images = ", ".join(str(case.image) for case in named if case.id == repeated[0])
        raise DataError(
            f"Several cases are named {repeated[0]!r}: {images}.",
            "Rename the files or remove the copy, or give a CSV with an id column.",
        )
    return named
