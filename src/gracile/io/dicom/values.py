"""From the pixel data of a DICOM file to values: the one way for pictures, slices, clips and labels."""

from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.io.dicom.decoders import decoder_of
from gracile.io.dicom.fields import number, words
from gracile.io.dicom.files import private_parsing
from gracile.io.voxels import COPY_AGAIN, require_true_size

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")

_BLANK = 1 << 16
"""Bytes that the size of a small file is taken for: JPEG 2000 and JPEG-LS make next to nothing of a blank picture."""


def stored_values(path: Path, dataset: Any, frame: int = 0) -> np.ndarray:
    """A frame as it is stored: ``(rows, columns)`` of any type, or ``(rows, columns, 3)`` RGB.

    YBR and palettes become RGB.

    Raises:
        DataError: There are no pixels, they are damaged, or nothing here reads their compression.
    """
    from pydicom.pixels import apply_color_lut, pixel_array

    if not any(name in dataset for name in _PIXELS):
        raise DataError(f"{path} holds no pixels.", "Choose the file of an image, not of a report or a measurement.")
    plugin = decoder_of(path, dataset)
    sides = [int(number(path, dataset, name, 1)) for name in ("Columns", "Rows", "SamplesPerPixel")]
    require_true_size(path, sides, 1, max(path.stat().st_size, _BLANK), compressed=True)
    with private_parsing(path, "has pixels that are damaged or end too early"):
        values = _placed_otherwise(path, dataset, frame)
        values = pixel_array(dataset, index=frame, decoding_plugin=plugin) if values is None else values
        if words(dataset, "PhotometricInterpretation") == "PALETTE COLOR":
            values = apply_color_lut(values, dataset)
            values = (values >> 8).astype(np.uint8) if values.dtype == np.uint16 else values
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3):
        raise DataError(f"{path} holds pixels of shape {values.shape}, which is no picture.", COPY_AGAIN)
    return values


def _placed_otherwise(path: Path, dataset: Any, frame: int) -> np.ndarray | None:
    """The values of plain pixels that lie at other bits of their words (High Bit), which pydicom ignores; else None."""
    from pydicom.pixels import pixel_array

    allocated, stored = (int(number(path, dataset, name, 0)) for name in ("BitsAllocated", "BitsStored"))
    high = int(number(path, dataset, "HighBit", stored - 1))
    compressed = dataset.file_meta.TransferSyntaxUID.is_compressed
    if compressed or allocated not in (8, 16, 32) or not stored <= high < allocated:
        return None
    content = pixel_array(dataset, index=frame, bits_stored=allocated)
    unsigned = content.view(f"u{allocated // 8}") << (allocated - 1 - high)
    return np.asarray(unsigned.view(content.dtype) >> (allocated - stored))


def real_values(path: Path, dataset: Any, stored: np.ndarray) -> np.ndarray:
    """Stored gray values as float32 in the units that the file says; NaN where it says that there is no picture.

    By its Modality LUT, else its Rescale Slope and Intercept, else its Real World Value Mapping, else as they are.

    Raises:
        DataError: One of these fields is damaged.
    """
    from pydicom.pixels import apply_modality_lut

    if "ModalityLUTSequence" in dataset:
        with private_parsing(path, "has a damaged Modality LUT"):
            values = np.asarray(apply_modality_lut(stored, dataset), np.float32)
    else:
        slope, intercept = _scaling(path, dataset)
        values = (stored.astype(np.float64) * slope + intercept).astype(np.float32)
    values[_padding(path, dataset, stored)] = np.nan
    return values


def is_inverted(dataset: Any) -> bool:
    """Whether high values are shown dark (MONOCHROME1)."""
    return words(dataset, "PhotometricInterpretation") == "MONOCHROME1"


def _scaling(path: Path, dataset: Any) -> tuple[float, float]:
    """Slope and intercept; a slope of 0, which says nothing, counts as 1."""
    if "RescaleSlope" in dataset or "RescaleIntercept" in dataset:
        slope = number(path, dataset, "RescaleSlope", 1.0)
        return slope or 1.0, number(path, dataset, "RescaleIntercept", 0.0)
    for item in dataset.get("RealWorldValueMappingSequence") or ():
        if item.get("RealWorldValueSlope") is not None:
            slope = number(path, item, "RealWorldValueSlope", 1.0)
            return slope or 1.0, number(path, item, "RealWorldValueIntercept", 0.0)
    return 1.0, 0.0


def _padding(path: Path, dataset: Any, stored: np.ndarray) -> np.ndarray:
    """Where a file says that there is no picture: Pixel Padding Value (0028,0120), up to its Range Limit."""
    if not dataset.get("PixelPaddingValue") and dataset.get("PixelPaddingValue") != 0:
        return np.zeros(stored.shape, bool)
    first = number(path, dataset, "PixelPaddingValue", 0)
    last = number(path, dataset, "PixelPaddingRangeLimit", first)
    low, high = sorted(_as_stored(end, stored.dtype) for end in (first, last))
    return np.asarray((stored >= low) & (stored <= high))


def _as_stored(value: float, dtype: np.dtype) -> float:
    """A value of the header, which many write as unsigned beside signed pixels and the reverse."""
    if dtype.kind not in "iu":
        return value
    span, limits = 2.0 ** (8 * dtype.itemsize), np.iinfo(dtype)
    return value - span if value > limits.max else value + span if value < limits.min else value
