"""What a training asks of its data before it begins; a check of the data asks the same."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from gracile.data import CaseFiles, check_cases, labeled, load_split, problem_lines, read_case, split_by_subject
from gracile.errors import DataError
from gracile.learning.learners import Learner
from gracile.learning.schedule import require_validation
from gracile.recipe import Recipe
from gracile.transforms import Prepared, prepare

log = logging.getLogger(__name__)


def require_sound(cases: Sequence[CaseFiles], recipe: Recipe, split: str | Path | None) -> None:
    """Raise DataError for what a check of the cases calls an error; its warnings are logged."""
    report = check_cases(cases, recipe, split)
    if report.errors:
        first, *others = report.errors
        where = "" if first.file in first.message else f"{first.file}: "
        more = f" {len(others)} more: run gracile data check." if others else ""
        raise DataError(f"{where}{first.message}", first.remedy + more)
    for line in problem_lines(report.problems):
        log.warning("%s", line.removeprefix("warning: "))


def sides_of(
    cases: list[CaseFiles], recipe: Recipe, split: str | Path | None
) -> tuple[list[CaseFiles], list[CaseFiles]]:
    """Cases to train on and cases held back, by a split or drawn by subject.

    Raises:
        DataError: The split does not fit the cases.
        RecipeError: A stage's schedule needs cases held back, and there are none.
    """
    if split:
        training, validation = load_split(split, cases)
    else:
        training, validation = split_by_subject(cases, recipe.train.validation, recipe.train.seed)
    for spec in recipe.stages:
        require_validation(recipe.train_of(spec), len(validation))
    return training, validation


def require_taught(stages: Sequence[Learner], cases: list[CaseFiles], recipe: Recipe, split: str | Path | None) -> None:
    """Make sure that cases can teach every stage, before anything is trained or written.

    Raises:
        DataError: They cannot, or do not fit a split.
        RecipeError: A stage's schedule needs cases held back, and there are none.
    """
    training, _ = sides_of(labeled(cases), recipe, split)
    for stage in stages:
        stage.require_lessons(_prepared(training, recipe))


def _prepared(cases: Sequence[CaseFiles], recipe: Recipe) -> Iterator[Prepared]:
    for files in cases:
        yield prepare(read_case(files, recipe), recipe, allow_wrong_kind=True)[0]
