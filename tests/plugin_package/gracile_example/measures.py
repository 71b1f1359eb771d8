"""A measure for pictures and volumes."""

import numpy as np
from scipy import ndimage

from gracile.case import Case
from gracile.measure.base import Measure, mask_of
from gracile.recipe import Recipe
from gracile.result import Measurement, Result


class LargestIsland(Measure):
    """Share that the largest island of each class has in it."""

    at_least: int = 1

    def add(self, case: Case, result: Result, recipe: Recipe) -> None:
        for index, name in enumerate(recipe.class_names[1:], start=1):
            islands, _ = ndimage.label(mask_of(result) == index)
            sizes = np.bincount(islands.ravel())[1:]
            share = float(sizes.max() / sizes.sum()) if sizes.sum() >= self.at_least else None
            result.measurements.append(Measurement("largest_island", share, "1", name))
