"""Runs the measurements that a recipe names on a result."""

from collections.abc import Callable
from typing import Any

import numpy as np

from gracile.case import Case
from gracile.errors import RecipeError, UsageError
from gracile.io.level_volumes import read_levels
from gracile.measure.areas import area_measurements
from gracile.measure.cord import measure_cord
from gracile.measure.disc import Disc
from gracile.measure.landmarks import landmark_measurements
from gracile.measure.ultrasound import ultrasound_measurements
from gracile.measure.vessels import fundus_measurements
from gracile.recipe import LandmarkMeasuresSpec, Recipe
from gracile.result import Result

Settings = dict[str, Any]

SETTINGS = ("um_per_pixel", "disc", "levels")
"""What may be given at prediction: pixel size in micrometers; optic disc as (row, column, diameter) in input pixels;
vertebral levels as a label volume or a folder of them."""


CORD_OPTIONS = ("structure", "plane", "smoothing_mm", "largest_jump", "partial_volume")
"""Options of the measurement ``cord``; see `gracile.measure.cord.measure_cord`."""


def require_known_settings(settings: Settings) -> None:
    """Raise UsageError for a setting that no measurement knows, or a pixel size that is not above zero."""
    unknown = sorted(set(settings) - set(SETTINGS))
    if unknown:
        raise UsageError(f"There is no measurement setting {unknown[0]!r}.", f"There are: {', '.join(SETTINGS)}.")
    size = settings.get("um_per_pixel")
    if size is not None and not size > 0:
        raise UsageError(f"A pixel of {size} µm cannot be.", "Give a size above zero.")


def measure(case: Case, result: Result, recipe: Recipe, settings: Settings) -> None:
    """Add the recipe's measurements, marks and flags to a result; one that fails does not cost the others.

    Args:
        case: The case the result belongs to.
        result: Changed in place.
        recipe: Names the measurements.
        settings: Given at prediction; see `SETTINGS`.

    Raises:
        UsageError: An unknown setting.
    """
    require_known_settings(settings)
    for spec in recipe.measure:
        with result.surviving(f"the measure {spec.name}"):
            if spec.name == "landmarks":
                spec_of_landmarks = LandmarkMeasuresSpec.model_validate(spec.options)
                result.measurements += landmark_measurements(result.landmarks, spec_of_landmarks)
            elif result.mask is not None:
                MEASURES[spec.name](case, result, result.mask, recipe, {**spec.options, **settings})


def _vessels(case: Case, result: Result, mask: np.ndarray, recipe: Recipe, settings: Settings) -> None:
    disc = settings.get("disc")
    measurements, marks, flags = fundus_measurements(
        case.image,
        mask,
        np.ones(mask.shape, dtype=bool) if result.region is None else result.region,
        trees=recipe.structures,
        um_per_pixel=settings.get("um_per_pixel"),
        disc=Disc(*disc) if disc else None,
        probabilities=result.probabilities,
    )
    result.measurements += measurements
    result.marks.update(marks)
    result.flags += flags


def _areas(case: Case, result: Result, mask: np.ndarray, recipe: Recipe, settings: Settings) -> None:
    result.measurements += area_measurements(mask, recipe.class_names, _spacing_mm(result, settings))


def _ultrasound(case: Case, result: Result, mask: np.ndarray, recipe: Recipe, settings: Settings) -> None:
    rings = {name: value for name, value in settings.items() if name not in SETTINGS}
    unknown = sorted(set(rings) - {"ring_mm", "ring_px"})
    if unknown:
        raise RecipeError(f"The measurement ultrasound has no option {unknown[0]!r}.", "It has: ring_mm, ring_px.")
    measurements, marks = ultrasound_measurements(
        case.image,
        mask,
        np.ones(mask.shape, dtype=bool) if result.region is None else result.region,
        recipe.class_names,
        _spacing_mm(result, settings),
        **rings,
    )
    result.measurements += measurements
    result.marks.update(marks)


def _cord(case: Case, result: Result, mask: np.ndarray, recipe: Recipe, settings: Settings) -> None:
    options = {name: value for name, value in settings.items() if name not in SETTINGS}
    unknown = sorted(set(options) - set(CORD_OPTIONS))
    if unknown:
        known = ", ".join(CORD_OPTIONS)
        raise RecipeError(f"The measurement cord has no option {unknown[0]!r}.", f"It has: {known}.")
    name = options.pop("structure", next(iter(recipe.structures)))
    if name not in recipe.structures:
        raise RecipeError(f"There is no structure {name!r}.", f"There are: {', '.join(recipe.structures)}.")
    members = list(recipe.structures[name])
    soft = options.pop("partial_volume", False) and result.probabilities is not None
    shares = result.probabilities[members].sum(axis=0) if soft and result.probabilities is not None else None
    levels = None
    if settings.get("levels"):
        levels = read_levels(settings["levels"], result.grid, result.case_id)
        if levels is None:
            result.flags.append(f"no vertebral levels: {settings['levels']} holds none for {result.case_id}")
    own = np.isin(mask, members)
    measures = measure_cord(own, result.grid, structure=name, shares=shares, levels=levels, **options)
    result.measurements += measures.measurements
    result.flags += measures.flags
    result.tables["cord"] = measures.rows
    if measures.levels:
        result.tables["cord_levels"] = measures.levels


def _spacing_mm(result: Result, settings: Settings) -> tuple[float, ...] | None:
    """(row, column) distance of pixels in mm: the one given at prediction, else the file's."""
    if settings.get("um_per_pixel"):
        return (settings["um_per_pixel"] / 1000.0,) * 2
    return result.grid.spacing_mm


MEASURES: dict[str, Callable[[Case, Result, np.ndarray, Recipe, Settings], None]] = {
    "vessels": _vessels,
    "areas": _areas,
    "ultrasound": _ultrasound,
    "cord": _cord,
}
