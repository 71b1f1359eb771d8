"""The files of one case, and what is done with a list of them: read, name, select."""

import difflib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from gracile.case import Case, Moment
from gracile.data.case_points import read_case_points
from gracile.errors import DataError, nearest
from gracile.io import (
    read_case_file,
    read_labels,
    read_region,
    read_volume_labels,
    read_volume_region,
    stem,
)
from gracile.io.naming import telling_folders
from gracile.plain_data import read_json
from gracile.recipe import Recipe

Found = TypeVar("Found")


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
        channels: Files of the image's further channels, in the recipe's order.
        moment: Of a frame whose table says so: where it stands in its clip.
    """

    id: str
    image: Path
    label: Path | None
    region: Path | None
    subject: str
    frame_class: str = ""
    points: tuple[Path, ...] = ()
    channels: tuple[Path, ...] = ()
    moment: Moment | None = None

    @property
    def key(self) -> tuple[Path, ...]:
        """What makes it a case of its own: one image may be two, with the points of either side."""
        return (self.image.resolve(), *self.points)


@dataclass
class CaseParts:
    """What could be read of a case, and why the rest could not.

    Args:
        case: The case, without what does not fit; None where its image cannot be read.
        truth: Class indices of its label, whether or not it fits the image.
        label_notes: What was changed to read the label.
        faults: What is wrong with which file.
    """

    case: Case | None = None
    truth: np.ndarray | None = None
    label_notes: list[str] = field(default_factory=list)
    faults: list[tuple[Path, DataError]] = field(default_factory=list)

    def take(self, path: Path | None, reader: Callable[[Path], Found]) -> Found | None:
        """What a reader makes of a file; None without one, and where it finds fault, which is kept."""
        try:
            return None if path is None else reader(path)
        except DataError as fault:
            self.faults.append((path or Path(), fault))
            return None


def read_case(files: CaseFiles, recipe: Recipe) -> Case:
    """Read a case's image and, where there are any, its label, region and points.

    Raises:
        DataError: What `read_parts` finds first.
    """
    parts = read_parts(files, recipe)
    if parts.faults:
        raise parts.faults[0][1]
    assert parts.case is not None
    return parts.case


def read_parts(files: CaseFiles, recipe: Recipe) -> CaseParts:
    """Read all of a case, whatever is wrong with some of it: checks and trainings read by this alone.

    Faults are files that are unreadable or of the wrong kind, labels with unknown values, other sizes or grids than the
    image's, and empty regions.
    """
    parts = CaseParts()
    case = parts.take(files.image, lambda path: read_case_file(path, files.id, recipe.input, channels=files.channels))
    if recipe.input.kind == "volume":
        _add_volume_truth(parts, case, files, recipe)
    else:
        parts.truth = parts.take(
            files.label, lambda path: read_labels(path, recipe.classes, notes=parts.label_notes, ignored=True)
        )
        region = parts.take(files.region, lambda path: _not_empty(read_region(path)))
        for path, array, name in ((files.label, parts.truth, "truth"), (files.region, region, "region")):
            if case is not None and path is not None and array is not None:
                setattr(case, name, parts.take(path, partial(_of_size, files.image, case.grid.shape, array)))
        if case is not None:
            case.notes += parts.label_notes
    if case is not None:
        case.subject, case.frame_class = files.subject, files.frame_class
    parts.case = case
    return parts


def _add_volume_truth(parts: CaseParts, case: Case | None, files: CaseFiles, recipe: Recipe) -> None:
    """A volume's label, region and points, turned to its axes."""
    grid = None if case is None else case.grid
    labels = parts.take(files.label, lambda path: read_volume_labels(path, recipe.classes, grid, ignored=True))
    parts.truth = None if labels is None else labels.values
    ids, names = (files.id, stem(files.image)), recipe.landmark_names
    points = None
    if files.points and names:
        affine = None if grid is None else grid.affine
        points = parts.take(files.points[0], lambda _: read_case_points(files.points, ids, names, affine))
    if case is None:
        return
    case.truth = parts.truth
    parts.label_notes = [] if labels is None else labels.notes
    case.notes += parts.label_notes
    case.region = parts.take(files.region, lambda path: _not_empty(read_volume_region(path, case.grid)))
    if points is not None:
        case.points = points


def _of_size(image: Path, size: tuple[int, ...], array: np.ndarray, path: Path) -> np.ndarray:
    require_size(image, size, path, array)
    return array


def _not_empty(region: np.ndarray) -> np.ndarray:
    if not region.any():
        raise DataError("The field of view is empty.", "Mark the part that counts above zero.")
    return region


def add_lesson_faults(parts: CaseParts, files: CaseFiles, recipe: Recipe) -> None:
    """Add why a stage would refuse to learn from a case that can be read.

    Landmarks that are missing or outside of the volume, and a kind of frame that a gate does not know.
    """
    case, name = parts.case, files.frame_class
    if case is not None and case.points:
        parts.take(files.points[0], lambda _: case.landmark_voxels(recipe.landmark_names, case.grid))
    for gate in recipe.gates:
        if name and gate.classes and name.casefold() not in [known.casefold() for known in gate.classes]:
            said = f"There is no frame class {name!r}: the gate {gate.name!r} tells {', '.join(gate.classes)} apart."
            parts.faults.append((files.image, DataError(said, nearest(name, gate.classes))))


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
    if path.suffix.lower() == ".json":
        listed = read_json(path, 'Write it as ["33", "42"].')
    else:
        try:
            listed = path.read_text(encoding="utf-8-sig").replace("\n", ",").split(",")
        except (OSError, ValueError) as error:
            raise DataError(f"The list of cases {path} cannot be read ({error}).", "Check its path.") from None
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
