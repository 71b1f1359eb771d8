"""Read a single DICOM picture, ultrasound above all: its pixels, their size and the scan's place on the screen.

Nothing of the patient is read: names, birth dates and ids never come into a note, a name or an error.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.io.dicom.fields import SEGMENTATION_CLASS, frame_count, number, numbers, words
from gracile.io.dicom.files import private_parsing, read_dataset
from gracile.io.dicom.values import is_inverted, real_values, stored_values

_CENTIMETERS = 3  # Physical Units X and Y Direction (0018,6024), (0018,6026), DICOM PS3.3 C.8.5.5
_PLANE = 1  # Region Spatial Format (0018,6012): 2D


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


def read_dicom(path: Path | str) -> DicomPicture:
    """Read a DICOM file of one frame.

    The pixel size is that of the largest region of its Sequence of Ultrasound Regions (0018,6011) whose units are
    centimeters, whose box is the region; else Pixel Spacing (0028,0030); else Imager Pixel Spacing (0018,1164).

    Raises:
        DataError: The file is unreadable, holds no picture, or is a clip.
    """
    path = Path(path)
    return picture_of(path, _one_frame(path))


def read_stored(path: Path) -> np.ndarray:
    """The pixels of a file of one frame as they are stored, such as a mask's. Raises DataError."""
    return stored_values(path, _one_frame(path))


def _one_frame(path: Path) -> Any:
    dataset = read_dataset(path)
    frames = frame_count(path, dataset)
    if frames > 1:
        raise DataError(
            f"{path} is a clip of {frames} frames, not a picture.", "Export the frame that is meant as a file."
        )
    return dataset


def has_pixels(path: Path) -> bool:
    """Whether a DICOM file is a picture or a clip, no report or segmentation; a damaged one may be."""
    try:
        header = read_dataset(path, ["SOPClassUID", "Rows"], pixels=False)
    except DataError:
        return True
    return "Rows" in header and words(header, "SOPClassUID") != SEGMENTATION_CLASS


def picture_of(path: Path, dataset: Any, frame: int = 0) -> DicomPicture:
    """A frame of a data set as a picture. Raises DataError; see `read_dicom`."""
    flags: list[str] = []
    notes: list[str] = []
    image = screen_values(path, dataset, frame, notes)
    with private_parsing(path):
        spacing, region = _ultrasound_region(path, dataset, image.shape[1:], flags)
        if spacing is None:
            spacing = _spacing(path, dataset, notes)
    return DicomPicture(image, spacing, region, flags, notes)


def screen_values(path: Path, dataset: Any, frame: int, notes: list[str]) -> np.ndarray:
    """``(channels, rows, columns)`` uint8 as a screen shows it: windows are applied, MONOCHROME1 is turned over."""
    stored = stored_values(path, dataset, frame)
    if stored.ndim == 3:
        return np.ascontiguousarray(np.moveaxis(_to_8_bits(stored, notes), -1, 0))
    values = stored if stored.dtype == np.uint8 else _windowed(path, dataset, stored)  # 8-bit ones are as shown
    image = _to_8_bits(values, notes)
    return (255 - image if is_inverted(dataset) else image)[None]


def _windowed(path: Path, dataset: Any, stored: np.ndarray) -> np.ndarray:
    from pydicom.pixels import apply_voi_lut

    values = real_values(path, dataset, stored)
    empty = np.isnan(values)
    if empty.any():  # black, as it is shown
        values[empty] = 0 if empty.all() else np.nanmax(values) if is_inverted(dataset) else np.nanmin(values)
    integral = np.rint(values)
    with private_parsing(path):
        # A table of the VOI LUT is looked up by whole numbers; a window takes any.
        table = "VOILUTSequence" in dataset and bool((integral == values).all())
        return np.asarray(apply_voi_lut(integral.astype(np.int32) if table else values, dataset))


def _to_8_bits(values: np.ndarray, notes: list[str]) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    notes.append("values scaled to 8 bits between their extremes")
    low, high = float(values.min()), float(values.max())
    scaled: np.ndarray = np.rint((values.astype(np.float64) - low) * (255 / max(high - low, 1e-9))).astype(np.uint8)
    return scaled


def _ultrasound_region(
    path: Path, dataset: Any, shape: tuple[int, ...], flags: list[str]
) -> tuple[tuple[float, float] | None, np.ndarray | None]:
    """Pixel size and box of the largest two-dimensional region; (None, None) when there is none."""
    boxes = []
    for item in dataset.get("SequenceOfUltrasoundRegions") or []:
        box = _box(path, item, shape)
        if box is not None and number(path, item, "RegionSpatialFormat", _PLANE) == _PLANE:
            boxes.append(((box[0].stop - box[0].start) * (box[1].stop - box[1].start), box, item))
    if not boxes:
        return None, None
    _, box, item = max(boxes, key=lambda entry: entry[0])
    if len(boxes) > 1:
        flags.append(f"the screen shows {len(boxes)} scans; the largest was taken")
    region = np.zeros(shape, dtype=bool)
    region[box] = True
    return _region_spacing(path, item), region


def _box(path: Path, item: Any, shape: tuple[int, ...]) -> tuple[slice, slice] | None:
    """Rows and columns of a region; its last ones belong to it."""
    names = ("RegionLocationMinY0", "RegionLocationMaxY1", "RegionLocationMinX0", "RegionLocationMaxX1")
    values = [numbers(path, item, name, 1) for name in names]
    if any(value is None for value in values):
        return None
    top, bottom, left, right = (max(0, int(value[0])) for value in values if value is not None)
    rows, columns = slice(top, min(bottom + 1, shape[0])), slice(left, min(right + 1, shape[1]))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def _region_spacing(path: Path, item: Any) -> tuple[float, float] | None:
    units = {number(path, item, f"PhysicalUnits{axis}Direction", 0) for axis in "YX"}
    if units != {_CENTIMETERS}:
        return None
    down, across = (abs(10 * number(path, item, f"PhysicalDelta{axis}", 0)) for axis in "YX")
    return (down, across) if down and across else None


def _spacing(path: Path, dataset: Any, notes: list[str]) -> tuple[float, float] | None:
    for name in ("PixelSpacing", "ImagerPixelSpacing"):
        found = numbers(path, dataset, name, 2)
        if found is not None:
            if name == "ImagerPixelSpacing":
                notes.append("pixel size is that at the detector (Imager Pixel Spacing)")
            down, across = found
            return (down, across) if down > 0 and across > 0 else None
    return None
