"""Read a single DICOM picture, ultrasound above all: its pixels, their size and the scan's place on the screen.

Nothing of the patient is read: names, birth dates and ids never come into a note, a name or an error.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError

DICOM_SUFFIXES = (".dcm", ".dicom")

_CENTIMETERS = 3  # Physical Units X and Y Direction (0018,6024), (0018,6026), DICOM PS3.3 C.8.5.5
_PLANE = 1  # Region Spatial Format (0018,6012): 2D
_REMEDY = "Open it in a DICOM viewer; if it does not show there either, export it again."


@dataclass(frozen=True)
class DicomPicture:
    """What a DICOM file holds of a picture.

    Args:
        image: ``(channels, height, width)`` uint8 with 1 or 3 channels.
        spacing_mm: (row, column) distance of pixels in mm, or None.
        region: ``(height, width)`` bool, the scan on the machine's screen, or None when the file names none.
        flags: What was lost or guessed; see `gracile.case.Case`.
        notes: What was converted.
    """

    image: np.ndarray
    spacing_mm: tuple[float, float] | None = None
    region: np.ndarray | None = None
    flags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def is_dicom(path: Path) -> bool:
    """Whether a file bears a DICOM suffix or the mark of one at byte 128."""
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def read_dicom(path: Path | str) -> DicomPicture:
    """Read a DICOM file of one frame.

    The pixel size is that of the largest region of its Sequence of Ultrasound Regions (0018,6011) whose units are
    centimeters, whose box is the region; else Pixel Spacing (0028,0030); else Imager Pixel Spacing (0018,1164).

    Raises:
        DataError: The file is unreadable, holds no picture, or is a clip.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    path = Path(path)
    try:
        dataset = dcmread(path)
    except InvalidDicomError:
        raise DataError(f"{path} is no DICOM file.", _REMEDY) from None
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror or error}.", "Check the name and rights.") from None
    except Exception as error:  # pydicom's errors quote values of the file, which may be a patient's
        raise DataError(f"{path} cannot be read as DICOM ({type(error).__name__}).", _REMEDY) from None
    if "PixelData" not in dataset:
        raise DataError(f"{path} holds no picture.", "Choose the file of an image, not of a report or a measurement.")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise DataError(
            f"{path} is a clip of {frames} frames, not a picture.", "Export the frame that is meant as a file."
        )
    flags: list[str] = []
    notes: list[str] = []
    image = _pixels(path, dataset, notes)
    spacing, region = _ultrasound_region(dataset, image.shape[1:], flags)
    if spacing is None:
        spacing = _spacing(dataset, notes)
    return DicomPicture(image, spacing, region, flags, notes)


def _pixels(path: Path, dataset: Any, notes: list[str]) -> np.ndarray:
    """``(channels, height, width)`` uint8; YBR and palettes become RGB, windows are applied."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

    try:
        values = pixel_array(dataset)  # YBR becomes RGB in it
        photometric = str(dataset.get("PhotometricInterpretation", ""))
        if photometric == "PALETTE COLOR":
            values = apply_color_lut(values, dataset)
        elif values.ndim == 2 and values.dtype != np.uint8:  # 8-bit ones are what the screen showed
            values = apply_voi_lut(apply_modality_lut(values, dataset), dataset)
    except Exception as error:  # a compression without decoder, or damaged data
        raise DataError(
            f"{path}: its picture cannot be decoded ({type(error).__name__}).",
            "Export it uncompressed or as JPEG, or as PNG.",
        ) from None
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3):
        raise DataError(f"{path} holds an array of shape {values.shape}, which is no picture.", _REMEDY)
    if values.dtype != np.uint8:
        notes.append(f"{values.dtype} values scaled to 8 bits between their extremes")
        low, high = float(values.min()), float(values.max())
        values = np.rint((values.astype(np.float64) - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    if photometric == "MONOCHROME1":
        values = 255 - values
    return np.ascontiguousarray(values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0))


def _ultrasound_region(
    dataset: Any, shape: tuple[int, ...], flags: list[str]
) -> tuple[tuple[float, float] | None, np.ndarray | None]:
    """Pixel size and box of the largest two-dimensional region; (None, None) when there is none."""
    boxes = []
    for item in dataset.get("SequenceOfUltrasoundRegions") or []:
        box = _box(item, shape)
        if box is not None and int(item.get("RegionSpatialFormat", _PLANE)) == _PLANE:
            boxes.append(((box[0].stop - box[0].start) * (box[1].stop - box[1].start), box, item))
    if not boxes:
        return None, None
    _, box, item = max(boxes, key=lambda entry: entry[0])
    if len(boxes) > 1:
        flags.append(f"the screen shows {len(boxes)} scans; the largest was taken")
    region = np.zeros(shape, dtype=bool)
    region[box] = True
    return _region_spacing(item), region


def _box(item: Any, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Rows and columns of a region; its last ones belong to it."""
    names = ("RegionLocationMinY0", "RegionLocationMaxY1", "RegionLocationMinX0", "RegionLocationMaxX1")
    values = [item.get(name) for name in names]
    if any(value is None for value in values):
        return None
    top, bottom, left, right = (max(0, int(value)) for value in values)
    rows, columns = slice(top, min(bottom + 1, shape[0])), slice(left, min(right + 1, shape[1]))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _region_spacing(item: Any) -> tuple[float, float] | None:
    units = (item.get("PhysicalUnitsYDirection"), item.get("PhysicalUnitsXDirection"))
    if any(unit is None or int(unit) != _CENTIMETERS for unit in units):
        return None
    return _positive(abs(10 * float(item.get(name) or 0)) for name in ("PhysicalDeltaY", "PhysicalDeltaX"))


def _spacing(dataset: Any, notes: list[str]) -> tuple[float, float] | None:
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        values = dataset.get(name)
        if values is not None and len(values) == 2:
            if name == "ImagerPixelSpacing":
                notes.append("pixel size is that at the detector (Imager Pixel Spacing)")
            return _positive(float(value) for value in values)
    return None


def _positive(values: Any) -> tuple[float, float] | None:
    row, column = values
    return (row, column) if np.isfinite([row, column]).all() and row > 0 and column > 0 else None
