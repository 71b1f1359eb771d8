"""Grids, curves and skeletons: geometry that knows neither files nor networks."""

from gracile.geometry.centerline import Centerline
from gracile.geometry.grid import Grid

__all__ = ["Centerline", "Grid"]
