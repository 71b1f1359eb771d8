"""Everything that is wrong with a data set, found at once and before anything long is started."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from gracile.case import Case
from gracile.data.case_files import CaseFiles, require_size, size_text, unique_ids
from gracile.data.case_points import read_case_points
from gracile.data.layouts import list_files, sources
from gracile.data.splits import read_split
from gracile.errors import DataError
from gracile.geometry import Grid, axis_codes
from gracile.io import read_case_file, read_labels, read_region, read_volume_labels, stem
from gracile.recipe import Recipe

_NO_LABEL, _LABEL_REMEDY = "The image has no label.", "Add one of the same name, or remove the image."

OUTSIDE_SHARE = 0.01
"""Share of a label's foreground that may lie outside the field of view before it is worth a word."""

Found = TypeVar("Found")
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
    return ", ".join(f"{what} ({count})" for what, count in numbers.items()) or "none"


def check_data(source: str | Path | Sequence[str | Path], recipe: Recipe, split: str | Path | None = None) -> Report:
    """List every problem of a data set; nothing is raised for what is wrong with the data.

    Reads one case at a time. Found are: sources of no known layout, images without label and the reverse, unclear
    pairs, unreadable files, differing sizes, unknown label values, labels that are empty or all of one class, classes
    that never occur, images with equal pixels, and fields of view that are missing, empty, or cut labels off; of
    volumes also labels on another grid than their image, and what was changed to read them.

    Args:
        source: A folder or CSV file, or several.
        recipe: Whose classes the labels are read by.
        split: A split saved by `save_split`, whose sides must share no image and no subject.
    """
    checking = _Checking(recipe)
    cases = checking.list_cases(sources(source))
    report = Report(cases=len(cases), subjects=len({case.subject for case in cases}))
    report.labeled = sum(case.label is not None or bool(case.points) for case in cases)
    report.with_region = sum(case.region is not None for case in cases)
    for case in cases:
        checking.check_case(case, regions_expected=report.with_region > 0)
    report.sizes = dict(sorted(checking.sizes.items()))
    report.spacings = dict(sorted(checking.spacings.items()))
    report.orientations = dict(sorted(checking.orientations.items()))
    report.pixels = dict(zip(recipe.class_names, checking.pixels.tolist(), strict=True))
    place = ", ".join(str(path) for path in sources(source))
    if any(report.pixels.values()):
        for name, count in report.pixels.items():
            if count == 0:
                checking.add(
                    "warning", place, f"The class {name} never occurs.", "It cannot be learned from this data."
                )
    sides = checking.read_sides(Path(split), cases) if split is not None else {}
    checking.check_duplicates(cases, sides)
    report.problems = sorted(dict.fromkeys(checking.problems), key=lambda p: (p.severity != "error", p.file, p.message))
    return report


class _Checking:
    """A check under way: what it has seen so far."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.problems: list[Problem] = []
        self.pixels = np.zeros(len(recipe.classes), np.int64)
        self.sizes: Counter[str] = Counter()
        self.spacings: Counter[str] = Counter()
        self.orientations: Counter[str] = Counter()
        self.by_content: dict[str, list[str]] = defaultdict(list)

    def add(self, severity: Severity, file: str | Path, message: str, remedy: str = "") -> None:
        self.problems.append(Problem(severity, str(file), message, remedy))

    def list_cases(self, paths: list[Path]) -> list[CaseFiles]:
        """All cases of all sources, with ids of their own."""
        cases: dict[tuple[Path, ...], CaseFiles] = {}
        for source in paths:
            try:
                listing = list_files(source, self.recipe)
            except DataError as fault:
                self.add("error", source, fault.message, fault.remedy)
                continue
            for found in listing.faults:
                self.add("error", source, found.message, found.remedy)
            for path, remark in listing.remarks.items():
                remedy = "Remove the others." if self.recipe.landmarks else "Remove the others, or set input.labels."
                self.add("warning", path, remark, remedy)
            for stray in listing.strays:
                self.add("error", stray, "It belongs to no image.", "Add the image, or give both the same name.")
            for case in listing.cases:
                if cases.setdefault(case.key, case) is not case:
                    self.add("error", case.image, "The image is named twice.", "Name it in one source only, and once.")
        try:
            return unique_ids(list(cases.values()))
        except DataError as fault:
            self.add("error", paths[0], fault.message, fault.remedy)
            return list(cases.values())

    def check_case(self, case: CaseFiles, *, regions_expected: bool) -> None:
        """Read the files of one case and note what is wrong with each and between them."""
        if self.recipe.input.kind == "volume":
            self._check_volume(case)
            return
        image = self._read(case.image, lambda path: read_case_file(path, case.id, self.recipe.input).image)
        size = None if image is None else image.shape[1:]
        if image is not None:
            self._note_content(case.id, image)
        region = self._region(case, size, expected=regions_expected)
        if case.label is None and case.frame_class:
            return
        if case.label is None:
            self.add("error", case.image, _NO_LABEL, _LABEL_REMEDY)
            return
        label = self._read(case.label, lambda path: read_labels(path, self.recipe.classes))
        if label is None or not self._fits(case.image, size, case.label, label):
            return
        counts = np.bincount(label.ravel(), minlength=len(self.pixels))
        self.pixels += counts
        self._check_content(case.label, counts)
        if region is not None and region.shape == label.shape and counts[1:].sum():
            outside = float((label[~region] > 0).sum() / counts[1:].sum())
            if outside > OUTSIDE_SHARE:
                message = f"{outside:.1%} of the foreground lies outside the field of view {case.region}."
                self.add("warning", case.label, message, "Check that both belong to this image.")

    def _check_volume(self, files: CaseFiles) -> None:
        case = self._read(files.image, lambda path: read_case_file(path, files.id, self.recipe.input))
        grid = None
        if case is not None:
            grid = case.grid
            assert grid.affine is not None
            assert grid.spacing_mm is not None
            self._note_content(files.id, case.image)
            self.spacings[" x ".join(f"{spacing:.3g}" for spacing in grid.spacing_mm)] += 1
            self.orientations[axis_codes(grid.affine)] += 1
            for note in (*case.flags, *case.notes):
                self.add("warning", files.image, f"It was read with a change: {note}.")
        if self.recipe.landmarks:
            self._check_points(files, grid)
        if files.label is None:
            if not self.recipe.landmarks:
                self.add("error", files.image, _NO_LABEL, _LABEL_REMEDY)
            return
        labels = self._read(files.label, lambda path: read_volume_labels(path, self.recipe.classes, grid))
        if labels is not None:
            counts = np.bincount(labels.values.ravel(), minlength=len(self.pixels))
            self.pixels += counts
            self._check_content(files.label, counts)
            for note in labels.notes:
                self.add("warning", files.label, f"It was read with a change: {note}.")

    def _check_points(self, files: CaseFiles, grid: Grid | None) -> None:
        """Note landmarks that are missing, named twice, or outside of their volume."""
        if not files.points:
            self.add("error", files.image, "The volume has no points.", "Add a file of the same name, or remove it.")
            return
        ids, names = (files.id, stem(files.image)), self.recipe.landmark_names
        affine = None if grid is None else grid.affine
        points = self._read(files.points[0], lambda _: read_case_points(files.points, ids, names, affine))
        if points is not None and grid is not None:
            case = Case(files.id, np.empty((1, *grid.shape), np.float32), grid, points=points)
            self._read(files.points[0], lambda _: case.landmark_voxels(names, grid))

    def _note_content(self, id: str, image: np.ndarray) -> None:
        """Keep the size and a checksum of what an image shows."""
        self.sizes[size_text(image.shape[1:])] += 1
        content = hashlib.sha256(f"{image.shape}".encode())
        content.update(np.ascontiguousarray(image).data)
        self.by_content[content.hexdigest()].append(id)

    def _region(self, case: CaseFiles, size: tuple[int, ...] | None, *, expected: bool) -> np.ndarray | None:
        if case.region is None:
            if expected:
                remedy = "Add it; otherwise it is found from the image."
                self.add("warning", case.image, "The image has no field of view file, others have.", remedy)
            return None
        region = self._read(case.region, read_region)
        if region is None or not self._fits(case.image, size, case.region, region):
            return None
        if not region.any():
            self.add("error", case.region, "The field of view is empty.", "Mark the part that counts above zero.")
            return None
        return region

    def _read(self, path: Path, reader: Callable[[Path], Found]) -> Found | None:
        try:
            return reader(path)
        except DataError as fault:
            self.add("error", path, fault.message, fault.remedy)
            return None

    def _fits(self, image: Path, size: tuple[int, ...] | None, other: Path, array: np.ndarray) -> bool:
        if size is None:
            return True
        try:
            require_size(image, size, other, array)
        except DataError as fault:
            self.add("error", other, fault.message, fault.remedy)
            return False
        return True

    def _check_content(self, path: Path, counts: np.ndarray) -> None:
        present = np.flatnonzero(counts)
        if present.size != 1:
            return
        if present[0] == 0 and self.recipe.gates:
            return  # a gate learns from frames without the structure
        if present[0] == 0:
            self.add("error", path, "The label is empty: all background.", "Label the case or leave it out.")
        else:
            name = self.recipe.class_names[present[0]]
            self.add("error", path, f"The label is {name} all over.", "Check that it is a label of this recipe.")

    def read_sides(self, path: Path, cases: list[CaseFiles]) -> dict[str, str]:
        """The side of each case in a split; notes subjects that are on both."""
        try:
            train, validation = read_split(path)
        except DataError as fault:
            self.add("error", path, fault.message, fault.remedy)
            return {}
        sides = dict.fromkeys(train, "train")
        for id in validation:
            if id in sides:
                self.add("error", path, f"The case {id} is on both sides of the split.", "Make a new split.")
            sides[id] = "validation"
        known = {case.id for case in cases}
        for id in sorted(sides.keys() - known):
            self.add("error", path, f"The split names {id}, which the data lacks.", "Use the data it was made for.")
        found: dict[str, set[str]] = defaultdict(set)
        for case in cases:
            if case.id in sides:
                found[case.subject].add(sides[case.id])
        for subject, both in found.items():
            if len(both) > 1:
                self.add("error", path, f"The subject {subject} is on both sides of the split.", "Make a new split.")
        return sides

    def check_duplicates(self, cases: list[CaseFiles], sides: dict[str, str]) -> None:
        """Note images with equal pixels, and those that are on both sides of a split."""
        images = {case.id: case.image for case in cases}
        for ids in self.by_content.values():
            for id in ids[1:]:
                if images[id] == images[ids[0]]:
                    continue  # one volume with the points of either side
                message = f"The image has the same pixels as {images[ids[0]]}."
                self.add("error", images[id], message, "Keep one of them.")
            if len({sides[id] for id in ids if id in sides}) > 1:
                message = f"The same picture is on both sides of the split: {', '.join(ids)}."
                self.add("error", images[ids[0]], message, "Keep one of them, or give both one subject and split anew.")
