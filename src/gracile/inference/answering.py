"""One case through a pipeline, to its whole answer: what was found, what it measures, what a person should look at."""

import time

from gracile.case import Case
from gracile.measure import Settings, measure
from gracile.pipeline import Pipeline
from gracile.result import Result
from gracile.trust import case_flags, sampled


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
    flag(pipeline, case, result)
    result.seconds["measure"] = time.perf_counter() - found


def flag(pipeline: Pipeline, case: Case, result: Result) -> None:
    """Add how unlike the training images a case is, and what is unusual of it and of what was found in it; likewise."""
    with result.surviving("the comparison with ordinary cases"):
        samples = sampled(case, result.region)
        likeness = pipeline.unlike.likeness(samples)
        if likeness is not None:
            result.unlike = likeness.unlike
        elif pipeline.unlike.why_not:
            result.notes.append(
                f"how unlike the training images an input is was not learned: {pipeline.unlike.why_not}"
            )
        result.flags += case_flags(case, result, pipeline.recipe, pipeline.ordinary, likeness, samples)
