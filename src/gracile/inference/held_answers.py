"""Signs and scores of answers to labeled cases that a model has not seen, by which the prediction of quality learns."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

from gracile.case import Case
from gracile.data import CaseFiles, image_checksum, read_case
from gracile.errors import DataError, GracileError
from gracile.inference.answering import flag
from gracile.pipeline import Pipeline
from gracile.result import Result
from gracile.transforms.volume import Orientation
from gracile.trust import HeldAnswer, case_figures, held_mask, held_points, signed_answer

log = logging.getLogger(__name__)


def held_answer(pipeline: Pipeline, case: Case, result: Result, subject: str) -> HeldAnswer | None:
    """How good an answer is, beside its signs; None where its truth is not known.

    Args:
        pipeline: What found it; it was not shown the truth.
        case: With its truth.
        result: With signs.
        subject: Person that the case is of.
    """
    recipe = pipeline.recipe
    answer = signed_answer(result, recipe, case_figures(case, result, recipe))
    if recipe.deciding is None:
        return held_points(case.id, subject, answer, result, case.points) if case.points else None
    if case.truth is None or result.mask is None:
        return None
    if case.truth.ndim == 3:
        turn = Orientation.to(recipe.prepare.orientation, case.grid).apply
        return held_mask(case.id, subject, answer, result, case.truth, recipe, turn)
    return held_mask(case.id, subject, answer, result, case.truth, recipe)


def held_answers(pipeline: Pipeline, cases: Sequence[CaseFiles]) -> Iterable[HeldAnswer]:
    """Answers of a pipeline to labeled cases, from their images alone.

    Those that it was trained on are left out, which is said; so is what cannot be read or used.
    """
    for files in cases:
        if was_learned(pipeline, files):
            log.warning("%s is left out: the model was trained on it.", files.id)
            continue
        try:
            case = read_case(files, pipeline.recipe)
            result = pipeline(replace(case, truth=None, points={}), signed=True)
            flag(pipeline, case, result, predicted=False)
        except GracileError as error:
            log.warning("%s is left out: %s", files.id, error)
            continue
        held = held_answer(pipeline, case, result, files.subject)
        if held is not None:
            yield held


def was_learned(pipeline: Pipeline, files: CaseFiles) -> bool:
    """Whether the model was trained on a case's image, whatever its name."""
    if not pipeline.learned_from:
        return False
    try:
        return image_checksum(files.image, pipeline.recipe.input.kind, files.channels) in pipeline.learned_from
    except (OSError, DataError):
        return False
