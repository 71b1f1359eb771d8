"""Labels that a data set holds, as the truth of predictions."""

from pathlib import Path

from gracile.data import CaseFiles, find_cases
from gracile.io.naming import IMAGE_SUFFIXES, VOLUME_SUFFIXES, image_files
from gracile.recipe import Recipe


def labeled_cases(recipe: Recipe, truth: Path) -> list[CaseFiles]:
    """The cases of a data set that have a label; none where the truth is a file or a folder of labels itself.

    Raises:
        DataError: It is no data set either.
    """
    if truth.is_file() and truth.suffix.lower() != ".csv":
        return []
    suffixes = VOLUME_SUFFIXES if recipe.input.kind == "volume" else IMAGE_SUFFIXES
    if truth.is_dir() and image_files(truth, suffixes):
        return []
    return [case for case in find_cases(truth, recipe) if case.label is not None]


def subjects_note(subject_of: dict[str, str]) -> list[str]:
    """What is to be said of intervals by the subjects of a data set; nothing where each case is a subject."""
    subjects = len(set(subject_of.values()))
    return [f"intervals are by subject ({subjects} in the data set)"] if subjects < len(subject_of) else []
