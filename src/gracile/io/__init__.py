"""The doors: everything that comes from files or goes to files."""

from gracile.io.atomic import write_bytes, write_json, write_text, writing
from gracile.io.centerlines import read_centerline, write_centerline
from gracile.io.images import read_image, read_region, write_png
from gracile.io.markups import POINT_SUFFIXES, read_points, write_points
from gracile.io.masks import LabelClass, colorize, overlay, read_labels, write_labels
from gracile.io.naming import IMAGE_SUFFIXES, case_key, image_files, pair_files, stem
from gracile.io.pictures import read_picture

__all__ = [
    "IMAGE_SUFFIXES",
    "POINT_SUFFIXES",
    "LabelClass",
    "case_key",
    "colorize",
    "image_files",
    "overlay",
    "pair_files",
    "read_centerline",
    "read_image",
    "read_labels",
    "read_picture",
    "read_points",
    "read_region",
    "stem",
    "write_bytes",
    "write_centerline",
    "write_json",
    "write_labels",
    "write_png",
    "write_points",
    "write_text",
    "writing",
]
