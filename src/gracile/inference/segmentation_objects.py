"""DICOM Segmentation objects of what was found in DICOM images."""

from pathlib import Path

from gracile.errors import DataError, WriteError
from gracile.inference.inputs import Input
from gracile.io.dicom import is_dicom
from gracile.io.dicom.segmentations import SUFFIX, write_segmentation
from gracile.io.naming import is_volume_file
from gracile.recipe import Recipe
from gracile.result import Result


def is_dicom_input(entry: Input) -> bool:
    """Whether an input is a DICOM series or picture."""
    if entry.kind == "volume":
        return entry.path.is_dir() or (not is_volume_file(entry.path) and is_dicom(entry.path))
    return entry.kind == "picture" and is_dicom(entry.path)


def add_segmentation(entry: Input, result: Result, recipe: Recipe, out: Path) -> dict[str, str]:
    """Write ``NAME.seg.dcm`` beside a mask; where the images do not allow one, a flag says why.

    Returns:
        The file by its kind, relative to ``out``; empty where none was written.
    """
    if result.mask is None or not is_dicom_input(entry):
        return {}
    name = f"{entry.name}{SUFFIX}"
    try:
        write_segmentation(
            out / name, result.mask, recipe.classes, entry.path, title=recipe.title, series=recipe.input.series
        )
    except WriteError:
        raise
    except DataError as error:
        result.flags.append(f"no DICOM Segmentation: {error.message}")
        return {}
    return {"segmentation": name}
