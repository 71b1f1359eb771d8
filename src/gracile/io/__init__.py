"""The doors: everything that comes from files or goes to files."""

from gracile.io.atomic import write_bytes, write_json, write_text, writing
from gracile.io.case_files import read_case_file
from gracile.io.centerlines import read_centerline, write_centerline
from gracile.io.images import read_image, read_region, write_png
from gracile.io.markups import POINT_SUFFIXES, read_points, write_points
from gracile.io.masks import LabelClass, colorize, overlay, read_labels, write_labels
from gracile.io.naming import IMAGE_SUFFIXES, VOLUME_SUFFIXES, case_key, image_files, pair_files, stem
from gracile.io.nifti_writing import write_map, write_mask, write_probabilities
from gracile.io.pictures import read_picture
from gracile.io.tables import read_table, write_table
from gracile.io.volume_labels import VolumeLabels, read_volume_labels, read_volume_region
from gracile.io.volumes import is_volume, read_volume, volume_parts

__all__ = [
    "IMAGE_SUFFIXES",
    "POINT_SUFFIXES",
    "VOLUME_SUFFIXES",
    "LabelClass",
    "VolumeLabels",
    "case_key",
    "colorize",
    "image_files",
    "is_volume",
    "overlay",
    "pair_files",
    "read_case_file",
    "read_centerline",
    "read_image",
    "read_labels",
    "read_picture",
    "read_points",
    "read_region",
    "read_table",
    "read_volume",
    "read_volume_labels",
    "read_volume_region",
    "stem",
    "volume_parts",
    "write_bytes",
    "write_centerline",
    "write_json",
    "write_labels",
    "write_map",
    "write_mask",
    "write_png",
    "write_points",
    "write_probabilities",
    "write_table",
    "write_text",
    "writing",
]
