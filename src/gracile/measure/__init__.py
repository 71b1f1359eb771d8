"""Lengths, widths and shapes of what was found, in the units of the patient."""

from gracile.measure.by_recipe import SETTINGS, Settings, measure, require_known_settings
from gracile.measure.cord import CordMeasures, measure_cord
from gracile.measure.disc import Disc, find_disc
from gracile.measure.fractal import fractal_dimension
from gracile.measure.vessels import fundus_measurements

__all__ = [
    "SETTINGS",
    "CordMeasures",
    "Disc",
    "Settings",
    "find_disc",
    "fractal_dimension",
    "fundus_measurements",
    "measure",
    "measure_cord",
    "require_known_settings",
]
