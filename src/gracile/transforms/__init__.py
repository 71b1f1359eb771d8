"""Prepare and restore: pictures and volumes on the grids that stages work on, as arrays."""

from gracile.transforms.field_of_view import find_field_of_view
from gracile.transforms.fundus import why_not_a_fundus
from gracile.transforms.placement import Placement
from gracile.transforms.prepare import prepare
from gracile.transforms.prepared import Prepared
from gracile.transforms.scan import find_scan, find_skin_line, why_not_ultrasound

__all__ = [
    "Placement",
    "Prepared",
    "find_field_of_view",
    "find_scan",
    "find_skin_line",
    "prepare",
    "why_not_a_fundus",
    "why_not_ultrasound",
]
