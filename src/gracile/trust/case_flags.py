"""Flags of one case: what is unusual of its input and of its answer."""

from gracile.case import Case
from gracile.recipe import Recipe
from gracile.result import Result
from gracile.trust.answer_figures import answer_figures
from gracile.trust.figures import INPUT, Figures
from gracile.trust.input_figures import input_figures
from gracile.trust.ordinary import Ordinary

_FORM = ("apart", "border")


def case_figures(case: Case, result: Result, recipe: Recipe) -> Figures:
    """All figures of a case: those of its input inside the region that was looked at, and those of its answer."""
    return {**input_figures(case, result.region), **answer_figures(result, recipe)}


def case_flags(case: Case, result: Result, recipe: Recipe, ordinary: Ordinary) -> list[str]:
    """What a person should look at in a case.

    The texts hold no numbers, so that they can be counted over cases and frames. Of a structure's form nothing is said
    where a measurement has said it with its place, such as a gap of a cord at a slice.

    Args:
        case: The input.
        result: What was found and measured in it.
        recipe: Names the structures.
        ordinary: What is ordinary for the model.
    """
    said = {flag.partition(": ")[0] for flag in result.flags}
    flags = []
    for (of, name), value in case_figures(case, result, recipe).items():
        words = ordinary.unusual(of, name, value)
        if words and not (name in _FORM and of in said):
            flags.append(words if of == INPUT else f"{of}: {words}")
    return list(dict.fromkeys(flags))
