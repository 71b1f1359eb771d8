"""Landmarks: points scored against the truth."""

import csv
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gracile.data import CaseFiles, find_cases, read_case
from gracile.data.csv_paths import CHANNEL_COLUMN
from gracile.data.layouts import list_files
from gracile.errors import DataError, UsageError
from gracile.evaluation import Evaluation, TruePoints, evaluate_landmarks
from gracile.evaluation.point_sources import read_true_points
from gracile.io import image_files, read_volume, stem
from gracile.io.naming import VOLUME_SUFFIXES
from gracile.io.nnlandmark import ALL_LANDMARKS, is_nnlandmark, nnlandmark_cases
from gracile.io.predictions_file import learned_notes
from gracile.names import docs_page
from gracile.recipe import Recipe

if TYPE_CHECKING:
    from gracile.bundle import Bundle

_OF_POINTS = (".json", ".fcsv", ".csv", ".tsv")


@dataclass(frozen=True)
class _Truth:
    """True points by case, and the volumes and files of those cases whose volume is known."""

    points: dict[str, TruePoints]
    volumes: dict[str, Path]
    files: list[CaseFiles]


def evaluate_points(
    runs: Sequence[Path],
    truth: Path,
    recipe: Recipe | None,
    *,
    missing: Literal["error", "worst"] = "error",
    images: Path | None = None,
    report: Path | None = None,
    groups: Path | None = None,
    windows: "Bundle | None" = None,
    trust: bool = False,
    failure: float | None = None,
) -> Evaluation:
    """Score predicted points by the protocol ``landmarks``.

    Args:
        runs: Folders of predicted points, one per run, or tables.
        truth: Folder or table of true points, nnLandmark's ``all_landmarks_voxel.json`` with ``images``, or with a
            recipe a data set of volumes and points.
        recipe: Its landmarks are scored; all that the truth names when None.
        missing: Whether a case without prediction is an error or all of its points count as missed.
        images: Folder of the volumes, where the truth holds none: for errors in voxels and the pictures of the report.
        report: HTML file to write.
        groups: CSV with columns ``name`` and ``group``.
        windows: A model whose classification of windows is scored as well; the truth is a data set then.
        trust: Whether to add how far the predicted errors that the folders carry can be trusted.
        failure: With ``trust``: the mean error in mm above which an answer is a failure.

    Raises:
        DataError: What cannot be read, or does not meet.
        UsageError: Windows without volumes.
    """
    true = _truth(truth, recipe, images)
    names = recipe.landmark_names if recipe is not None else []
    evaluation = evaluate_landmarks(
        runs, true.points, names, missing=missing, groups=groups, trust=trust, failure=failure
    )
    evaluation.notes += learned_notes(runs)
    if windows is not None:
        from gracile.inference.window_scores import score_windows

        if not true.files:
            raise UsageError("Windows are cut from volumes.", "Name the data set as truth, and its --recipe.")
        scores = evaluation.details["windows"] = score_windows(windows, true.files)
        evaluation.tables |= {"windows by class": scores["classes"], "windows, averages": scores["averages"]}
    if report is not None:
        from gracile.pages.landmark_scores import write_landmark_scores

        sources = {"predictions": [str(run) for run in runs], "truth": str(truth)}
        write_landmark_scores(evaluation, report, true.points, true.volumes, runs[0], sources)
    return evaluation


def true_points(files: CaseFiles, recipe: Recipe) -> TruePoints:
    """The truth of a case of a data set. Raises DataError."""
    case = read_case(files, recipe)
    return TruePoints(case.points, case.grid.affine, stem(files.image))


def _truth(source: Path, recipe: Recipe | None, images: Path | None) -> _Truth:
    if not source.exists():
        raise DataError(f"There is no folder or table {source}.", "Check the path.")
    if recipe is not None and _is_data_set(source, recipe):
        files = [files for files in find_cases(source, recipe) if files.points]
        if not files:
            raise DataError(f"{source} has volumes, but no points.", f"See {docs_page('data-layouts.md')}.")
        points = {each.id: true_points(each, recipe) for each in files}
        return _Truth(points, {each.id: each.image for each in files}, files)
    names = recipe.landmark_names if recipe is not None else []
    volumes = {stem(path): path for path in image_files(images, VOLUME_SUFFIXES)} if images is not None else {}
    in_voxels = source.is_file() and is_nnlandmark(source)
    if in_voxels and images is None:
        raise DataError(f"{source} counts in voxels.", "Name the folder of the volumes with --images.")
    found = {} if in_voxels else read_true_points(source, names)
    cases = nnlandmark_cases(source) if in_voxels else list(found)
    called = {name: name if name in volumes else f"{name}_0000" for name in cases}  # nnU-Net's first channel
    known = {name: volumes[file] for name, file in called.items() if file in volumes}
    if images is not None and not known:
        raise DataError(f"{images} has no volume for any case in {source}.", "Files meet by their names.")
    affines = {}
    for name, path in known.items():
        affine = read_volume(path, name, fourth_axis="first").grid.affine
        assert affine is not None
        affines[name] = affine
    if in_voxels:
        found = read_true_points(source, names, affines)
    of_volume = {name: called[name] if name in known else "" for name in found}
    return _Truth({name: TruePoints(own, affines.get(name), of_volume[name]) for name, own in found.items()}, known, [])


def _is_data_set(source: Path, recipe: Recipe) -> bool:
    """Whether a source is volumes with their points, not points alone."""
    if source.is_file():
        with source.open(encoding="utf-8-sig", errors="replace", newline="") as file, suppress(csv.Error):
            header = {cell.strip().lower() for cell in next(csv.reader(file), [])}
            return "points" in header and any(name == "image" or name.startswith(CHANNEL_COLUMN) for name in header)
        return False
    if image_files(source, VOLUME_SUFFIXES) or (source / ALL_LANDMARKS).is_file():
        return True
    if not any(path.is_file() and path.suffix.lower() in _OF_POINTS for path in source.iterdir()):
        return True
    try:  # tables may lie beside the volumes' folder
        return any(files.points for files in list_files(source, recipe).cases)
    except DataError:
        return False
