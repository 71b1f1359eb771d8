"""One case through a pipeline, to its whole answer: what was found, what it measures, what a person should look at."""

import time

from gracile.case import Case
from gracile.measure import Settings, measure
from gracile.pipeline import Pipeline
from gracile.result import Result
from gracile.trust import case_figures, case_flags, grade, sampled
from gracile.trust.figures import Figures


def answer(
    pipeline: Pipeline, case: Case, *, keep_probabilities: bool = False, settings: Settings | None = None
) -> Result:
    """Find and measure a recipe's structures in a case.

    Args:
        pipeline: Loaded once, used for all.
        case: What to look at.
        keep_probabilities: Also give the probability maps on the input's grid.
        settings: Of the measurements, see `gracile.measure.SETTINGS`.

    Raises:
        DataError: The case cannot be used with this recipe.
        UsageError: A setting of the measurements is unknown.
    """
    result = pipeline(case, keep_probabilities=keep_probabilities)
    judge(pipeline, case, result, settings)
    return result


def judge(pipeline: Pipeline, case: Case, result: Result, settings: Settings | None = None) -> None:
    """Add to what a pipeline found all that follows from it, so that it can be written before.

    What fails here costs that part alone, see `gracile.result.Result.surviving`.

    Args:
        pipeline: What found it.
        case: What was looked at.
        result: Changed in place.
        settings: Of the measurements.

    Raises:
        UsageError: A setting of the measurements is unknown.
    """
    found = time.perf_counter()
    measure(case, result, pipeline.recipe, settings or {})
    with result.surviving("the grade of the photograph"):
        grade(case, result, pipeline.recipe)
    flag(pipeline, case, result)
    result.seconds["measure"] = time.perf_counter() - found


def flag(pipeline: Pipeline, case: Case, result: Result, *, predicted: bool = True) -> None:
    """Add what is unusual of a case and its answer, how unlike the training images it is, and how good the answer is.

    What fails here costs that part alone as well.

    Args:
        pipeline: What found it.
        case: What was looked at.
        result: Changed in place.
        predicted: Whether its quality is predicted, where the model can: a video's frames do without.
    """
    figures = None
    with result.surviving("the comparison with ordinary cases"):
        samples = sampled(case, result.region)
        likeness = pipeline.unlike.likeness(samples)
        if likeness is not None:
            result.unlike = likeness.unlike
        elif pipeline.unlike.why_not:
            result.notes.append(
                f"how unlike the training images an input is was not learned: {pipeline.unlike.why_not}"
            )
        figures = case_figures(case, result, pipeline.recipe, samples)
        result.flags += case_flags(case, result, pipeline.recipe, pipeline.ordinary, likeness, figures)
    if predicted and figures is not None:
        _predict_quality(pipeline, result, figures)


def _predict_quality(pipeline: Pipeline, result: Result, figures: Figures) -> None:
    """Add how good an answer is predicted to be, or a note where that cannot be told."""
    if pipeline.quality is None:
        result.notes += [pipeline.no_quality] if pipeline.no_quality else []
        return
    with result.surviving("the prediction of its quality"):
        told = pipeline.quality.judge(result, pipeline.recipe, figures)
        if isinstance(told, str):
            result.notes.append(told)
        else:
            result.quality = told
