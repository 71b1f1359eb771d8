"""Flags of one case: what is unusual of its input and of its answer."""

from gracile.case import Case
from gracile.recipe import Recipe
from gracile.result import Result
from gracile.trust.answer_figures import answer_figures
from gracile.trust.figures import COLORS, INPUT, TEXTURE, Figures
from gracile.trust.input_figures import figures_of
from gracile.trust.input_samples import Samples, sampled
from gracile.trust.ordinary import Ordinary
from gracile.trust.unlike import Likeness

_FORM = ("apart", "border")


def case_figures(case: Case, result: Result, recipe: Recipe, samples: Samples | None = None) -> Figures:
    """All figures of a case: those of its input inside the region that was looked at, and those of its answer.

    Args:
        case: The input.
        result: What was found in it.
        recipe: Names the structures.
        samples: Of the input inside that region, where they were taken before.
    """
    taken = samples or sampled(case, result.region)
    return {**({} if taken is None else figures_of(taken)), **answer_figures(result, recipe)}


def case_flags(
    case: Case, result: Result, recipe: Recipe, ordinary: Ordinary, likeness: Likeness | None = None,
    figures: Figures | None = None,
) -> list[str]:  # fmt: skip
    """What a person should look at in a case.

    The texts hold no numbers, so that they can be counted over cases and frames. Of a structure's form nothing is said
    where a measurement has said it with its place, such as a gap of a cord at a slice; of colors and texture nothing
    where the whole input is unlike the training images.

    Args:
        case: The input.
        result: What was found and measured in it.
        recipe: Names the structures.
        ordinary: What is ordinary for the model.
        likeness: How the input compares with the training images, where that is known.
        figures: Of the case, where they are known already.
    """
    said = {flag.partition(": ")[0] for flag in result.flags}
    flags = [likeness.flag] if likeness is not None and likeness.flag else []
    covered = (COLORS, TEXTURE) if flags else ()
    for (of, name), value in (case_figures(case, result, recipe) if figures is None else figures).items():
        words = ordinary.unusual(of, name, value)
        if words and words not in covered and not (name in _FORM and of in said):
            flags.append(words if of == INPUT else f"{of}: {words}")
    return list(dict.fromkeys(flags))
