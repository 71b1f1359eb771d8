"""Runs the measures that a recipe names on a result."""

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from gracile.case import Case
from gracile.errors import RecipeError, UsageError, nearest
from gracile.extensions import ALL_MEASURES, Added
from gracile.measure.base import Measure
from gracile.measure.vertebral_levels import level_range
from gracile.names import docs_page
from gracile.recipe import MeasureSpec, Recipe
from gracile.recipe.wording import joined, sentences
from gracile.result import Result

Settings = dict[str, Any]

Number = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]

_TAKES: dict[str, tuple[Any, str]] = {
    "um_per_pixel": (Number, "the size of a pixel in micrometers, above zero"),
    "disc": (tuple[float, float, Number], "the optic disc as row, column and diameter in input pixels"),
    "levels": (str, "the name of a label volume of vertebral levels, or of a folder of them"),
    "level_range": (str, "a range of vertebral levels such as 'C2:C3', measured as one"),
}

SETTINGS = tuple(_TAKES)
"""Options that may be given at prediction."""


def require_known_settings(settings: Settings) -> None:
    """Raise UsageError for a setting that no measure knows, or that cannot be."""
    for name, value in settings.items():
        if name not in _TAKES:
            raise UsageError(f"There is no measurement setting {name!r}.", nearest(name, SETTINGS))
        takes, words = _TAKES[name]
        try:
            TypeAdapter(takes | None).validate_python(value)
        except ValidationError:
            raise UsageError(f"The measurement setting {name} cannot be {value!r}.", f"Give {words}.") from None
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
    if spec.name not in ALL_MEASURES:
        raise RecipeError(f"There is no measure {spec.name!r}.", nearest(spec.name, ALL_MEASURES))
    entry = ALL_MEASURES[spec.name]
    kind: type[Measure] = entry.require_kind(Measure) if isinstance(entry, Added) else entry.load()
    given = {name: value for name, value in (settings or {}).items() if name in kind.model_fields}
    try:
        return kind.model_validate({**spec.options, **given})
    except ValidationError as error:
        said = joined(sentences(error, kind))
        raise RecipeError(
            f"The options of the measure {spec.name!r} are not valid: {said}", f"See {docs_page('recipes.md')}."
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
