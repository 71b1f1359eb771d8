"""What every measure is: its options as data, and what it adds to a result."""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from gracile.case import Case
from gracile.errors import RecipeError, nearest
from gracile.names import ANY, Kind
from gracile.recipe import Recipe, Spec
from gracile.result import Result

MicrometersPerPixel = Annotated[float | None, Field(gt=0, description="pixel size in micrometers; given at prediction")]


class Measure(Spec, ABC):
    """One measure. Its fields are its options, by their names in a recipe; some of them are given at prediction.

    What one of Gracile's can be used on stands in `gracile.names.MEASURES`, beside its name.
    """

    inputs: ClassVar[tuple[Kind, ...]] = ANY
    """What one of another package can be used on."""

    of: ClassVar[Literal["mask", "landmarks"]] = "mask"
    """What it measures; without a mask the measures of masks are passed over."""

    def require_fit(self, recipe: Recipe) -> None:
        """Raise RecipeError where an option names what the recipe has not."""

    @abstractmethod
    def add(self, case: Case, result: Result, recipe: Recipe) -> None:
        """Add its measurements, marks, tables and flags to a result, which is changed in place."""


def mask_of(result: Result) -> np.ndarray:
    """``(*spatial)`` class indices of a result that has a mask."""
    assert result.mask is not None
    return result.mask


def region_of(result: Result) -> np.ndarray:
    """``(*spatial)`` bool, the part of the image that was looked at; all of it where that was not said."""
    return np.ones(mask_of(result).shape, dtype=bool) if result.region is None else result.region


def pixel_spacing_mm(result: Result, um_per_pixel: float | None) -> tuple[float, ...] | None:
    """(row, column) distance of pixels in mm: the one given at prediction, else the file's."""
    return (um_per_pixel / 1000.0,) * 2 if um_per_pixel else result.grid.spacing_mm


def structure_members(recipe: Recipe, name: str) -> list[int]:
    """Class indices of a structure. Raises RecipeError where the recipe has none of that name."""
    if name not in recipe.structures:
        raise RecipeError(f"There is no structure {name!r}.", nearest(name, recipe.structures))
    return list(recipe.structures[name])
