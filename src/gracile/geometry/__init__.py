"""Grids, curves and skeletons: geometry that knows neither files nor networks."""

from gracile.geometry.centerline import Centerline
from gracile.geometry.grid import Grid, NiftiForms
from gracile.geometry.orientation import AxisChange, axis_codes, change_between

__all__ = ["AxisChange", "Centerline", "Grid", "NiftiForms", "axis_codes", "change_between"]
