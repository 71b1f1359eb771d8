"""Everything that is wrong with a data set, found at once and before anything long is started."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gracile.case import IGNORED
from gracile.data.case_files import CaseFiles, CaseParts, add_lesson_faults, labeled, read_parts, size_text, unique_ids
from gracile.data.contradictions import Seen, contradictions, seen
from gracile.data.layouts import list_files, sources
from gracile.data.near_duplicates import PARTED_REMEDY, parted_pairs, thumbnail
from gracile.data.splits import load_split
from gracile.errors import DataError
from gracile.geometry import axis_codes
from gracile.io.unknown_labels import UnknownLabels, what_to_type
from gracile.recipe import Recipe

_LABEL_REMEDY = "Give a label the name of its image."

LISTED = 3
"""Sizes, spacings or orientations that are listed one by one; more are summed up."""

OUTSIDE_SHARE = 0.01
"""Share of a label's foreground that may lie outside the field of view before it is worth a word."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: an ``error`` makes the case useless or misleading, a ``warning`` is to be looked at."""

    severity: Severity
    file: str
    message: str
    remedy: str = ""


@dataclass
class Report:
    """What a data set holds and what is wrong with it.

    Args:
        cases: Number of images.
        labeled: Number of images with a label or with points.
        with_region: Number of images with a region (field of view) file.
        subjects: Number of subjects.
        sizes: Number of images of each ``width x height``, of volumes in the order of the file.
        spacings: Number of volumes of each voxel size in mm.
        orientations: Number of volumes by where their axes run to, as nibabel names it.
        pixels: Number of pixels or voxels of each class over all readable labels.
        problems: Errors first, then by file.
    """

    cases: int = 0
    labeled: int = 0
    with_region: int = 0
    subjects: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    spacings: dict[str, int] = field(default_factory=dict)
    orientations: dict[str, int] = field(default_factory=dict)
    pixels: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def errors(self) -> list[Problem]:
        """The problems that are errors."""
        return [problem for problem in self.problems if problem.severity == "error"]

    def summary(self) -> str:
        """The report's figures in two lines of text, without the problems."""
        total = sum(self.pixels.values())
        shares = ", ".join(f"{name} {count / total:.2%}" for name, count in self.pixels.items()) if total else "none"
        found = f"{len(self.errors)} errors, {len(self.problems) - len(self.errors)} warnings."
        if self.spacings:
            return (
                f"{self.cases} volumes of {self.subjects} subjects, {self.labeled} with label; {found}\n"
                f"Sizes: {_counts(self.sizes)}. Voxels in mm: {_counts(self.spacings)}. "
                f"Axes: {_counts(self.orientations)}. Labeled voxels: {shares}."
            )
        return (
            f"{self.cases} images of {self.subjects} subjects, {self.labeled} with label, {self.with_region} "
            f"with field of view; {found}\n"
            f"Sizes: {_counts(self.sizes)}. Labeled pixels: {shares}."
        )

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        return asdict(self)


def _counts(numbers: dict[str, int]) -> str:
    """How often each of a few kinds is there; of many, between which they lie and the most frequent one."""
    if len(numbers) <= LISTED:
        return ", ".join(f"{what} ({count})" for what, count in numbers.items()) or "none"
    most = max(numbers, key=lambda what: numbers[what])
    often = f"most often {most} ({numbers[most]} of {sum(numbers.values())})"
    if not all(part.replace(".", "", 1).isdecimal() for what in numbers for part in what.split(" x ")):
        return f"{len(numbers)} kinds, {often}"
    ordered = sorted(numbers, key=lambda what: math.prod(float(part) for part in what.split(" x ")))
    return f"{ordered[0]} to {ordered[-1]}, {often}"


def check_data(source: str | Path | Sequence[str | Path], recipe: Recipe, split: str | Path | None = None) -> Report:
    """List every problem of a data set; nothing is raised for what is wrong with the data.

    Args:
        source: A folder or CSV file, or several.
        recipe: Whose classes the labels are read by.
        split: A split saved by `save_split`, whose sides must share no image and no subject.
    """
    checking = _Checking(recipe, ", ".join(str(path) for path in sources(source)))
    return checking.report(checking.list_cases(sources(source)), split)


def check_cases(cases: Sequence[CaseFiles], recipe: Recipe, split: str | Path | None = None) -> Report:
    """List every problem of cases that were found: what a training refuses, and what it passes over, is the same here.

    Reads one case at a time, by `read_parts` alone. Errors are files that cannot be used as they are, a data set
    without a label, and a split that does not fit. Warnings are cases that are left out, labels that are empty or all
    of one class, classes that never occur, images with equal or nearly equal pixels, fields of view that are missing or
    cut labels off, and what was changed to read a volume.

    Args:
        cases: As `find_cases` gives them.
        recipe: Whose classes the labels are read by.
        split: A split whose sides must share no image and no subject.
    """
    return _Checking(recipe, "the data").report(list(cases), split)


class _Checking:
    """A check under way: what it has seen so far."""

    def __init__(self, recipe: Recipe, place: str) -> None:
        self.recipe = recipe
        self.place = place
        self.problems: list[Problem] = []
        self.pixels = np.zeros(len(recipe.classes), np.int64)
        self.sizes: Counter[str] = Counter()
        self.spacings: Counter[str] = Counter()
        self.orientations: Counter[str] = Counter()
        self.by_content: dict[str, list[str]] = defaultdict(list)
        self.thumbnails: dict[str, np.ndarray] = {}
        self.unknown: dict[int, UnknownLabels] = {}
        self.frames: list[Seen] = []

    def add(self, severity: Severity, file: str | Path, message: str, remedy: str = "") -> None:
        self.problems.append(Problem(severity, str(file), message, remedy))

    def add_fault(self, file: str | Path, fault: DataError) -> None:
        if isinstance(fault, UnknownLabels):
            self.unknown[len(self.problems)] = fault
        self.add("error", file, fault.message, fault.remedy)

    def report(self, cases: list[CaseFiles], split: str | Path | None) -> Report:
        """Check the cases and sum up."""
        report = Report(cases=len(cases), subjects=len({case.subject for case in cases}))
        report.labeled = sum(case.label is not None or bool(case.points) for case in cases)
        report.with_region = sum(case.region is not None for case in cases)
        usable = labeled(cases)
        if cases and not usable:
            self.add("error", self.place, "None of the cases has a label.", _LABEL_REMEDY)
        for case in usable:
            self.check_case(case, regions_expected=report.with_region > 0)
        self.add_left_out(cases, usable)
        report.sizes = dict(sorted(self.sizes.items()))
        report.spacings = dict(sorted(self.spacings.items()))
        report.orientations = dict(sorted(self.orientations.items()))
        report.pixels = dict(zip(self.recipe.class_names, self.pixels.tolist(), strict=True))
        for name, count in report.pixels.items() if any(report.pixels.values()) else ():
            if count == 0:
                remedy = "It cannot be learned from this data."
                self.add("warning", self.place, f"The class {name} never occurs.", remedy)
        self.check_frames(usable)
        sides = {} if split is None else self.sides_of(Path(split), usable)
        self.check_duplicates(usable, sides)
        for case, message in parted_pairs(usable, self.thumbnails, sides):
            self.add("warning", case.image, message, PARTED_REMEDY)
        self.name_unknown_labels()
        order = sorted(dict.fromkeys(self.problems), key=lambda p: (p.severity != "error", p.file, p.message))
        report.problems = order
        return report

    def list_cases(self, paths: list[Path]) -> list[CaseFiles]:
        """All cases of all sources, with ids of their own."""
        cases: dict[tuple[Path, ...], CaseFiles] = {}
        for source in paths:
            try:
                listing = list_files(source, self.recipe)
            except DataError as fault:
                self.add_fault(source, fault)
                continue
            for found in listing.faults:
                self.add_fault(source, found)
            for path, remark in listing.remarks.items():
                remedy = "Remove the others." if self.recipe.landmarks else "Remove the others, or set input.labels."
                self.add("warning", path, remark, remedy)
            for stray in listing.strays:
                remedy = "It is left out: add the image, or give both the same name."
                self.add("warning", stray, "It belongs to no image.", remedy)
            for case in listing.cases:
                if cases.setdefault(case.key, case) is not case:
                    self.add("error", case.image, "The image is named twice.", "Name it in one source only, and once.")
        try:
            return unique_ids(list(cases.values()))
        except DataError as fault:
            self.add_fault(paths[0], fault)
            return list(cases.values())

    def add_left_out(self, cases: list[CaseFiles], usable: list[CaseFiles]) -> None:
        """Note what teaches nothing: cases without a label or, where landmarks are learned, without points."""
        taken = {case.id for case in usable}
        for case in cases if usable else ():
            if self.recipe.landmarks and not case.points:
                remedy = "No landmark is learned from it: add a file of the same name."
                self.add("warning", case.image, "The volume has no points.", remedy)
            elif case.id not in taken:
                self.add("warning", case.image, "The image has no label.", "It is left out. " + _LABEL_REMEDY)

    def check_case(self, files: CaseFiles, *, regions_expected: bool) -> None:
        """Read one case and note what is wrong with its files, and what is to be looked at."""
        parts = read_parts(files, self.recipe)
        add_lesson_faults(parts, files, self.recipe)
        for path, fault in parts.faults:
            self.add_fault(path, fault)
        if files.region is None and regions_expected:
            remedy = "Add it; otherwise it is found from the image."
            self.add("warning", files.image, "The image has no field of view file, others have.", remedy)
        if parts.case is not None:
            self._note_image(files, parts)
        frame = seen(files, parts.truth) if parts.truth is None or parts.truth.ndim == 2 else None
        self.frames += [frame] if frame is not None else []
        if parts.truth is None or any(path == files.label for path, _ in parts.faults):
            return
        assert files.label is not None
        counts = np.bincount(parts.truth[parts.truth != IGNORED], minlength=len(self.pixels))
        self.pixels += counts
        self._check_content(files.label, counts)
        region = None if parts.case is None else parts.case.region
        if region is not None and files.region is not None and counts[1:].sum():
            outside = float(np.isin(parts.truth[~region], (0, IGNORED), invert=True).sum() / counts[1:].sum())
            if outside > OUTSIDE_SHARE:
                message = f"{outside:.1%} of the foreground lies outside the field of view {files.region}."
                self.add("warning", files.label, message, "Check that both belong to this image.")

    def _note_image(self, files: CaseFiles, parts: CaseParts) -> None:
        """Keep the size, the grid and a checksum of what an image shows; say what was changed to read it."""
        case = parts.case
        assert case is not None
        self.sizes[size_text(case.image.shape[1:])] += 1
        content = hashlib.sha256(f"{case.image.shape}".encode())
        content.update(np.ascontiguousarray(case.image).data)
        self.by_content[content.hexdigest()].append(files.id)
        self.thumbnails[files.id] = thumbnail(case)
        for note in (*case.flags, *case.notes):
            place = files.label if note in parts.label_notes and files.label else files.image
            self.add("warning", place, f"It was read with a change: {note}.")
        if case.grid.affine is None or case.grid.spacing_mm is None:
            return
        self.spacings[" x ".join(f"{spacing:.3g}" for spacing in case.grid.spacing_mm)] += 1
        self.orientations[axis_codes(case.grid.affine)] += 1

    def _check_content(self, path: Path, counts: np.ndarray) -> None:
        present = np.flatnonzero(counts)
        if present.size != 1:
            return
        if present[0]:
            name = self.recipe.class_names[present[0]]
            self.add("warning", path, f"The label is {name} all over.", "Check that it is a label of this recipe.")
        elif not self.recipe.gates:  # a gate learns from frames without the structure
            remedy = "It is learned from as a case without the structure: label it, where that was forgotten."
            self.add("warning", path, "The label is empty: all background.", remedy)

    def check_frames(self, cases: list[CaseFiles]) -> None:
        """Note frames of clips whose label contradicts their neighbors, or what their table says of them."""
        images = {case.id: case.image for case in cases}
        for id, reason in contradictions(self.frames).items():
            remedy = "Look at it; with train.contradicting_weight=0 nothing is learned from it."
            self.add("warning", images[id], f"The label contradicts its neighbors: {reason}.", remedy)
        for frame in self.frames:
            if frame.masked and frame.present != (frame.box is not None):
                said = "present, and its mask is empty" if frame.present else "absent, and its mask is not empty"
                self.add("warning", images[frame.id], f"The table says {said}.", "Correct one of them.")

    def sides_of(self, path: Path, cases: list[CaseFiles]) -> dict[str, str]:
        """The side of each case in a split; notes why a training would refuse it."""
        try:
            train, validation = load_split(path, cases)
        except DataError as fault:
            self.add_fault(path, fault)
            return {}
        return dict.fromkeys([case.id for case in train], "train") | {case.id: "validation" for case in validation}

    def check_duplicates(self, cases: list[CaseFiles], sides: dict[str, str]) -> None:
        """Note images with equal pixels, and those that are on both sides of a split."""
        images = {case.id: case.image for case in cases}
        for ids in self.by_content.values():
            for id in ids[1:]:
                if images[id] == images[ids[0]]:
                    continue  # one volume with the points of either side
                message = f"The image has the same pixels as {images[ids[0]]}."
                self.add("warning", images[id], message, "Keep one of them.")
            if len({sides[id] for id in ids if id in sides}) > 1:
                message = f"The same picture is on both sides of the split: {', '.join(ids)}."
                self.add("error", images[ids[0]], message, "Keep one of them, or give both one subject and split anew.")

    def name_unknown_labels(self) -> None:
        """Give all labels with unknown values one remedy: what to type for all of them together."""
        found = {one for fault in self.unknown.values() for one in fault.found}
        kinds = {isinstance(one, tuple) for one in found}
        if len(kinds) == 1:
            remedy = what_to_type(self.recipe.classes, found)
            for number in self.unknown:
                self.problems[number] = replace(self.problems[number], remedy=remedy)
