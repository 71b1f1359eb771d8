"""Grids, slices, lines, curves and skeletons: geometry that knows neither files nor networks."""

from gracile.geometry.centerline import (
    Centerline,
    centerline_from_mask,
    centerline_from_places,
    voxels_on_line,
)
from gracile.geometry.centerline_error import CenterlineError, centerline_error
from gracile.geometry.grid import Grid, NiftiForms
from gracile.geometry.orientation import AxisChange, axis_codes, change_between
from gracile.geometry.path_search import Path, best_path
from gracile.geometry.point_list import PointList
from gracile.geometry.slices import Slices, axial_slices

__all__ = [
    "AxisChange",
    "Centerline",
    "CenterlineError",
    "Grid",
    "NiftiForms",
    "Path",
    "PointList",
    "Slices",
    "axial_slices",
    "axis_codes",
    "best_path",
    "centerline_error",
    "centerline_from_mask",
    "centerline_from_places",
    "change_between",
    "voxels_on_line",
]
