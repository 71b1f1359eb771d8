"""A picture with what its file and the sidecar beside it say: pixel size and region."""

from pathlib import Path
from typing import Any

import numpy as np

from gracile.case import Case
from gracile.errors import DataError
from gracile.geometry import Grid
from gracile.io.dicom import is_dicom
from gracile.io.dicom.pictures import read_dicom
from gracile.io.images import read_upright
from gracile.plain_data import parse_json

SIDECAR_KEY = "pixel_spacing_mm"
_REMEDY = f'Write it as {{"{SIDECAR_KEY}": [0.08, 0.08]}}: row and column distance in mm.'


def read_picture(path: Path | str, id: str, channels: int = 0) -> Case:
    """Read a picture as a case: PNG, TIF, JPEG, GIF, BMP or single-frame DICOM.

    The pixel size is that of the sidecar ``NAME.json`` where there is one, else the DICOM file's own.

    Args:
        path: The file.
        id: Name of the case.
        channels: How many are wanted where each has a meaning of its own, as samples or pages of a TIFF; a file that
            has others is read as a gray or a color picture.

    Raises:
        DataError: The file or its sidecar cannot be read, or it is a clip.
    """
    path = Path(path)
    spacing: tuple[float, float] | None = None
    region: np.ndarray | None = None
    if is_dicom(path):
        picture = read_dicom(path)
        image, spacing, region = picture.image, picture.spacing_mm, picture.region
        flags, notes = picture.flags, picture.notes
    else:
        image, flags, notes = read_upright(path, channels)
    spacing = read_sidecar(path) or spacing
    grid = Grid(image.shape[1:], spacing_mm=spacing)
    return Case(id, image, grid, region=region, source=path, flags=flags, notes=notes)


def sidecar_path(path: Path) -> Path:
    """Where the sidecar of a picture lies: the same name with the suffix ``.json``."""
    return path.with_suffix(".json")


def read_sidecar(path: Path) -> tuple[float, float] | None:
    """(row, column) pixel size in mm from the sidecar of a picture, or None when there is none.

    A JSON file without the key ``pixel_spacing_mm`` is another program's, and passed over.

    Raises:
        DataError: The key is there, but not two positive numbers.
    """
    sidecar = sidecar_path(path)
    try:
        text = sidecar.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    if SIDECAR_KEY not in text:
        return None
    content = parse_json(text, str(sidecar), _REMEDY)
    if not isinstance(content, dict) or SIDECAR_KEY not in content:
        return None
    return _two_sizes(sidecar, content[SIDECAR_KEY])


def _two_sizes(sidecar: Path, value: Any) -> tuple[float, float]:
    fits = isinstance(value, list) and len(value) == 2
    if not fits or not all(isinstance(v, int | float) and not isinstance(v, bool) and 0 < v < 100 for v in value):
        raise DataError(f"{sidecar}: {SIDECAR_KEY} is not two positive numbers.", _REMEDY)
    return float(value[0]), float(value[1])
