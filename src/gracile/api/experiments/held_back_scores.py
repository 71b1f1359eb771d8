"""Scores of held-back answers by the recipe's protocol, and the page that shows them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gracile.api.landmarks import true_points
from gracile.data import CaseFiles
from gracile.evaluation import Evaluation, evaluate, evaluate_landmarks, find_protocol
from gracile.io import write_table
from gracile.recipe import Recipe


@dataclass(frozen=True)
class HeldBackScores:
    """Scores, and what writes their page to a file, with the notes that they then have."""

    scores: Evaluation
    write_page: Callable[[Path], Path]


def score_held_back(
    recipe: Recipe, cases: Sequence[CaseFiles], answers: Path, out: Path, groups: Path
) -> HeldBackScores:
    """Score answers to labeled cases; a case without an answer counts as worst.

    Args:
        recipe: Names protocol, classes and landmarks.
        cases: The cases, by whose ids the answers are named.
        answers: Their folder.
        out: Folder for the table of the true classes, where pictures are classified.
        groups: CSV of the subjects, which intervals resample.

    Raises:
        DataError: Nothing can be scored, or the protocol needs fields of view that are not there.
    """
    rules = find_protocol(recipe.protocol)
    if rules.of_points:
        return _points(recipe, cases, answers, groups)
    if rules.score_case is None:
        return _classes(recipe, cases, answers, out, groups)
    return _masks(recipe, cases, answers, groups)


def _points(recipe: Recipe, cases: Sequence[CaseFiles], answers: Path, groups: Path) -> HeldBackScores:
    from gracile.pages.landmark_scores import write_landmark_scores

    truth = {files.id: true_points(files, recipe) for files in cases if files.points}
    volumes = {files.id: files.image for files in cases}
    scores = evaluate_landmarks([answers], truth, recipe.landmark_names, missing="worst", groups=groups)
    sources = {"predictions": str(answers)}
    return HeldBackScores(
        scores, lambda path: write_landmark_scores(scores, path, truth, volumes, answers, sources)
    )  # fmt: skip


def _classes(
    recipe: Recipe, cases: Sequence[CaseFiles], answers: Path, out: Path, groups: Path
) -> HeldBackScores:  # fmt: skip
    from gracile.pages.classification_scores import write_classification_scores

    table = out / "truth.csv"
    write_table(table, [{"name": files.id, "class": files.frame_class} for files in cases if files.frame_class])
    scores = evaluate([answers], table, recipe.protocol, classes=recipe.classes, missing="worst", groups=groups)
    folders = {files.image.parent for files in cases}
    images = folders.pop() if len(folders) == 1 else None
    return HeldBackScores(scores, lambda path: write_classification_scores(scores, path, images, str(table)))


def _masks(recipe: Recipe, cases: Sequence[CaseFiles], answers: Path, groups: Path) -> HeldBackScores:
    from gracile.pages.mask_scores import CaseFiles as Shown
    from gracile.pages.mask_scores import write_mask_scores

    labels = {files.id: files.label for files in cases if files.label is not None}
    folders = {files.region.parent for files in cases if files.region is not None}
    regions = folders.pop() if len(folders) == 1 else None
    intervals = find_protocol(recipe.protocol).intervals
    scores = evaluate(
        [answers], labels, recipe.protocol, classes=recipe.classes, fov=regions, missing="worst",
        groups=groups if intervals else None,
    )  # fmt: skip
    suffix = ".nii.gz" if recipe.input.kind == "volume" else ".png"
    files_of = {}
    for files in cases:
        mask = answers / f"{files.id}{suffix}"
        if files.label is not None:
            files_of[files.id] = Shown(files.label, files.image, mask if mask.is_file() else None, files.region)
    sources = {"predictions": str(answers)}
    return HeldBackScores(scores, lambda path: write_mask_scores(scores, recipe.classes, path, files_of, sources))
