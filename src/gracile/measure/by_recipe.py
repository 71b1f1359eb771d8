"""Runs the measures that a recipe names on a result."""

from typing import Any

from pydantic import ValidationError

from gracile.case import Case
from gracile.errors import RecipeError, UsageError, nearest
from gracile.measure.base import Measure
from gracile.measure.vertebral_levels import level_range
from gracile.names import MEASURES
from gracile.recipe import MeasureSpec, Recipe
from gracile.recipe.wording import joined, sentences
from gracile.result import Result

Settings = dict[str, Any]

SETTINGS = ("um_per_pixel", "disc", "levels", "level_range")
"""Options that may be given at prediction: pixel size in micrometers; optic disc as (row, column, diameter) in input
pixels; vertebral levels as a label volume or a folder of them, and a range such as ``C2:C3`` to measure as one."""


def require_known_settings(settings: Settings) -> None:
    """Raise UsageError for a setting that no measure knows, or that cannot be."""
    unknown = sorted(set(settings) - set(SETTINGS))
    if unknown:
        raise UsageError(f"There is no measurement setting {unknown[0]!r}.", nearest(unknown[0], SETTINGS))
    size = settings.get("um_per_pixel")
    if size is not None and not size > 0:
        raise UsageError(f"A pixel of {size} µm cannot be.", "Give a size above zero.")
    if settings.get("level_range") is not None:
        level_range(settings["level_range"])
        if not settings.get("levels"):
            raise UsageError("A range of vertebral levels is asked for, and no levels are given.", "Add --levels.")


def require_measures(recipe: Recipe) -> None:
    """Raise RecipeError for a measure with options that it has not, cannot take, or that the recipe does not fit."""
    for spec in recipe.measure:
        declared(spec).require_fit(recipe)


def declared(spec: MeasureSpec, settings: Settings | None = None) -> Measure:
    """The measure that a recipe's entry names, with its options and those that are given at prediction.

    Raises:
        RecipeError: There is none of that name, or an option that it has not or cannot take.
    """
    if spec.name not in MEASURES:
        raise RecipeError(f"There is no measure {spec.name!r}.", nearest(spec.name, MEASURES))
    kind: type[Measure] = MEASURES[spec.name].load()
    given = {name: value for name, value in (settings or {}).items() if name in kind.model_fields}
    try:
        return kind.model_validate({**spec.options, **given})
    except ValidationError as error:
        said = joined(sentences(error, kind))
        raise RecipeError(
            f"The options of the measure {spec.name!r} are not valid: {said}", "See docs/recipes.md."
        ) from None


def measure(case: Case, result: Result, recipe: Recipe, settings: Settings) -> None:
    """Add the recipe's measurements, marks and flags to a result; one that fails does not cost the others.

    Args:
        case: The case the result belongs to.
        result: Changed in place.
        recipe: Names the measures.
        settings: Given at prediction; see `SETTINGS`.

    Raises:
        UsageError: An unknown setting.
    """
    require_known_settings(settings)
    for spec in recipe.measure:
        one = declared(spec, settings)
        if one.of == "landmarks" or result.mask is not None:
            with result.surviving(f"the measure {spec.name}"):
                one.add(case, result, recipe)
