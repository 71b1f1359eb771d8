"""Area, number of islands and center of each class: the measurements that suit any structure in a picture."""

import numpy as np
from scipy import ndimage

from gracile.case import Case
from gracile.measure.base import Measure, MicrometersPerPixel, mask_of, pixel_spacing_mm
from gracile.recipe import Recipe
from gracile.result import Measurement, Result


class Areas(Measure):
    """Area, number of islands and center of each class."""

    um_per_pixel: MicrometersPerPixel = None

    def add(self, case: Case, result: Result, recipe: Recipe) -> None:
        spacing = pixel_spacing_mm(result, self.um_per_pixel)
        result.measurements += area_measurements(mask_of(result), recipe.class_names, spacing)


def area_measurements(mask: np.ndarray, classes: list[str], spacing_mm: tuple[float, ...] | None) -> list[Measurement]:
    """Measure each foreground class of a picture.

    Args:
        mask: ``(height, width)`` uint8 class indices.
        classes: Names of the classes, the background first.
        spacing_mm: (row, column) distance of pixels in mm, or None: then areas are in pixels.

    Returns:
        Per class ``area`` (mm2 or px), ``islands`` (8-connected), ``center_row`` and ``center_column`` (px; None where
        the class is absent).
    """
    unit_area, unit = (float(np.prod(spacing_mm)), "mm2") if spacing_mm else (1.0, "px")
    measurements = []
    for index, name in enumerate(classes[1:], start=1):
        member = mask == index
        count = int(member.sum())
        row, column = ndimage.center_of_mass(member) if count else (None, None)
        islands = ndimage.label(member, structure=np.ones((3, 3)))[1] if count else 0
        measurements += [
            Measurement("area", count * unit_area, unit, name),
            Measurement("islands", float(islands), "1", name),
            Measurement("center_row", row, "px", name),
            Measurement("center_column", column, "px", name),
        ]
    return measurements
