"""Reads recipes and changes their settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gracile.errors import RecipeError
from gracile.names import PACKAGE, RECIPES, docs_page
from gracile.recipe.cascade import SETTINGS_FOLLOW, Recipe
from gracile.recipe.wording import joined, sentences
from gracile.settings import apply_setting, named_file, read_mapping, read_setting


def read_recipe(source: str | Path, settings: list[str] | None = None) -> Recipe:
    """Read a recipe by name or from a YAML file and apply ``key=value`` settings to it.

    Args:
        source: Name of a shipped recipe or path of a ``.yaml`` file.
        settings: Dotted settings such as ``train.epochs=50`` or ``stages.vessels.network.name=refining-unet``.

    Raises:
        RecipeError: Unknown name, unreadable file, unknown setting or a value of the wrong kind.
    """
    return recipe_from(read_mapping(recipe_path(str(source)), "recipe", "own-structure.md"), settings)


def recipe_from(data: dict[str, Any], settings: list[str] | None = None) -> Recipe:
    """Make a recipe from plain data, with settings applied: as a whole it is checked with them. Raises RecipeError."""
    if not settings:
        return _validated(data)
    return recipe_with(_validated(data, settings_follow=True), dict(read_setting(setting) for setting in settings))


def recipe_with(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """A recipe with other values for some dotted names, such as ``{"train.epochs": 50}``. Raises RecipeError."""
    full = recipe.model_dump(mode="json")
    for key, value in values.items():
        apply_setting(full, key, value)
        if isinstance(value, list | dict):  # what it leaves out has its own values, which later settings may change
            full = _filled(full)
    return _validated(full)


def _filled(data: dict[str, Any]) -> dict[str, Any]:
    """Plain data with every value that it leaves out, as far as it is valid before further settings."""
    try:
        return _validated(data, settings_follow=True).model_dump(mode="json")
    except RecipeError:
        return data


def recipe_path(source: str) -> Path:
    """The file of a shipped recipe's name or of a path. Raises RecipeError."""
    return named_file(source, "recipe", PACKAGE / "recipes", RECIPES)


def _validated(data: dict[str, Any], *, settings_follow: bool = False) -> Recipe:
    try:
        return Recipe.model_validate(data, context={SETTINGS_FOLLOW: settings_follow})
    except ValidationError as error:
        found = joined(sentences(error, Recipe))
        raise RecipeError(f"The recipe is not valid: {found}", f"See {docs_page('recipes.md')}.") from None
