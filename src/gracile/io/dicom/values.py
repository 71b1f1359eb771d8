"""From the pixel data of a DICOM file to values: the one way for pictures, slices, clips and labels."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gracile.errors import DataError
from gracile.io.dicom.fields import number, words
from gracile.io.dicom.files import private_parsing
from gracile.io.dicom.jpeg_lossless import decode_jpeg_lossless
from gracile.io.voxels import COPY_AGAIN

_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def stored_values(path: Path, dataset: Any, frame: int = 0) -> np.ndarray:
    """A frame as it is stored: ``(rows, columns)`` of any type, or ``(rows, columns, 3)`` RGB.

    YBR and palettes become RGB. Every transfer syntax of pydicom's is read, and JPEG Lossless, JPEG-LS, HTJ2K and
    12-bit JPEG by imagecodecs.

    Raises:
        DataError: There are no pixels, they are damaged, or nothing here reads their compression.
    """
    from pydicom.pixels import apply_color_lut, pixel_array

    if not any(name in dataset for name in _PIXELS):
        raise DataError(f"{path} holds no pixels.", "Choose the file of an image, not of a report or a measurement.")
    _require_decoder(path, dataset)
    with private_parsing(path, "has pixels that are damaged or end too early"):
        values = _placed_otherwise(path, dataset, frame)
        values = pixel_array(dataset, index=frame) if values is None else values
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


def _require_decoder(path: Path, dataset: Any) -> None:
    from pydicom.pixels import get_decoder

    _with_imagecodecs()
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        readable = get_decoder(syntax).is_available
    except NotImplementedError:
        readable = False
    if not readable:
        name = syntax.name if syntax.name != syntax else "an unknown transfer syntax"
        raise DataError(
            f"{path} is compressed in a way that is not read here: {name}.",
            "Decompress it with another program: gdcmconv --raw IN OUT, or dcmdjpeg IN OUT.",
        )


_JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_JPEG_12_BIT = ("1.2.840.10008.1.2.4.51",)
_JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
_JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
_HIGH_THROUGHPUT = ("1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203")

_FUNCTIONS = {
    **dict.fromkeys(_JPEG_LOSSLESS, "jpegsof3_decode"),
    **dict.fromkeys(_JPEG_12_BIT, "jpeg8_decode"),
    **dict.fromkeys(_JPEG_LS, "jpegls_decode"),
    **dict.fromkeys((*_JPEG_2000, *_HIGH_THROUGHPUT), "jpeg2k_decode"),
}
"""What decodes a frame of each transfer syntax. GDCM is not taken: it ends the whole process on damaged frames."""

DECODER_DEPENDENCIES = dict.fromkeys(_FUNCTIONS, ("imagecodecs",))
"""Asked for by pydicom, of a plugin."""


def is_available(uid: str) -> bool:
    """Whether imagecodecs is there to decode a transfer syntax; asked by pydicom, of a plugin."""
    try:
        import imagecodecs
    except ImportError:
        return False
    return uid in _FUNCTIONS and hasattr(imagecodecs, _FUNCTIONS[uid])


@cache
def _with_imagecodecs() -> None:
    """Let pydicom ask imagecodecs where it has no decoder of its own, or the own one gives up."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    for uid in _FUNCTIONS:
        get_decoder(UID(uid)).add_plugin("imagecodecs", (__name__, "decode_frame"))


def decode_frame(source: bytes, runner: Any) -> bytearray:
    """A compressed frame as little-endian bytes, color by pixel; called by pydicom."""
    import imagecodecs
    from pydicom.pixels.common import PhotometricInterpretation

    if runner.transfer_syntax in _JPEG_LOSSLESS:
        values = decode_jpeg_lossless(source, (runner.rows, runner.columns), runner.samples_per_pixel)
    else:
        values = getattr(imagecodecs, _FUNCTIONS[runner.transfer_syntax])(source)
    if values.shape[:2] != (runner.rows, runner.columns):
        raise ValueError
    if values.ndim == 3:
        runner.set_option("planar_configuration", 0)
        if runner.photometric_interpretation in (PhotometricInterpretation.YBR_ICT, PhotometricInterpretation.YBR_RCT):
            runner.set_option("photometric_interpretation", PhotometricInterpretation.RGB)
    runner.set_option("bits_allocated", 8 * values.itemsize)
    return bytearray(values.astype(values.dtype.newbyteorder("<")).tobytes())
