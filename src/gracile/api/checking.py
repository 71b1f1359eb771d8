"""Recipes and data checked before anything runs."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gracile import data
from gracile.data import Problem, Report
from gracile.errors import GracileError, MissingPartError
from gracile.measure.by_recipe import require_measures
from gracile.recipe import Recipe, read_recipe

if TYPE_CHECKING:
    from gracile.learning.learners import Learner

log = logging.getLogger(__name__)


def check_recipe(recipe: Recipe) -> "list[Learner]":
    """Make sure that all that a recipe names exists and works together; what is likely wrong is logged as a warning.

    Returns:
        Its stages, untrained; none where PyTorch, which tries their networks, is not installed, with a warning.

    Raises:
        RecipeError: Networks, losses, measures, their options, or layers that a training phase names do not exist or
            do not fit.
    """
    require_measures(recipe)
    try:
        from gracile.learning.buildable import require_buildable

        stages = require_buildable(recipe)
    except MissingPartError as error:
        log.warning("The networks were not tried. %s", error)
        stages = []
    for warning in recipe.warnings:
        log.warning("%s", warning)
    return stages


def check_data(
    source: str | Path | Sequence[str | Path], recipe: str | Path | Recipe, split: str | Path | None = None
) -> Report:
    """List every problem of a recipe's training data; errors are what a training would refuse, and only that.

    Args:
        source: One or several data folders or CSV files.
        recipe: Name of a recipe, a YAML file, or a recipe.
        split: A ``split.json`` that the training is to use.

    Raises:
        RecipeError: The recipe itself is wrong.
    """
    chosen = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    stages = check_recipe(chosen)
    report = data.check_data(source, chosen, split)
    if not report.errors and stages:
        from gracile.learning.lessons import require_taught

        try:
            require_taught(stages, data.find_cases(source, chosen), chosen, split)
        except GracileError as fault:
            problem = Problem("error", "the data", fault.message, fault.remedy)
            report.problems.insert(0, problem)
    return report
