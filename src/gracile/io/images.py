"""Read pictures: PNG, TIF, JPEG, GIF, BMP and DICOM; write PNG."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from gracile.errors import DataError
from gracile.io import atomic
from gracile.io.decoding import Decoded, decode, require_one_page
from gracile.io.dicom import is_dicom
from gracile.io.dicom.pictures import read_dicom

_JPEG_NOISE = 32


def read_image(path: Path | str) -> tuple[np.ndarray, list[str]]:
    """Read a picture as 8-bit gray or RGB.

    Sixteen-bit values are scaled by the full range of their type; where no value is above 4095 the picture
    is taken for a 12-bit one, and where none is above 255 for an 8-bit one. Transparent parts become black.

    Args:
        path: File in any of the formats of `IMAGE_SUFFIXES`.

    Returns:
        ``(channels, height, width)`` uint8 with 1 or 3 channels, and remarks of what was lost or converted.

    Raises:
        DataError: The file is unreadable, too large, or holds values whose meaning is not known.
    """
    path = Path(path)
    if is_dicom(path):
        picture = read_dicom(path)
        return picture.image, [*picture.flags, *picture.notes]
    image, flags, notes = read_upright(path)
    return image, [*flags, *notes]


def read_upright(path: Path, channels: int = 0) -> tuple[np.ndarray, list[str], list[str]]:
    """As `read_image` for a file that is no DICOM, with flags apart from notes as in `gracile.case.Case`.

    Args:
        path: The file.
        channels: How many are wanted, each of its own meaning: they are then scaled to 8 bits each by itself. 0 wants a
            gray or a color picture.
    """
    decoded = decode(path, channels)
    values = decoded.without_palette()
    if channels > 1 and values.shape[2:] == (channels,) and decoded.alpha is None:
        parts = [_to_8_bit(path, values[..., index]) for index in range(channels)]
        notes = [f"channel {number}: {note}" for number, (_, some) in enumerate(parts, start=1) for note in some]
        return np.stack([part for part, _ in parts]), decoded.flags, decoded.notes + notes
    if values.ndim == 3 and values.shape[2] != 3:
        wanted = f"{channels} are wanted" if channels > 1 else "a picture has 1 or 3"
        raise DataError(f"{path} has {values.shape[2]} channels; {wanted}.", "Choose the channels first.")
    values, notes = _to_8_bit(path, values)
    notes = decoded.notes + notes
    if decoded.alpha is not None:
        opacity = decoded.alpha if values.ndim == 2 else decoded.alpha[..., None]
        values = np.rint(values * opacity).astype(np.uint8)
        notes.append("transparent parts were laid over black")
    channels_first = values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
    return np.ascontiguousarray(channels_first), decoded.flags, notes


def _to_8_bit(path: Path, values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    if values.dtype == np.uint8:
        return values, []
    if values.dtype == bool:
        return values.astype(np.uint8) * 255, ["1-bit image scaled to 0 and 255"]
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    if values.dtype.kind == "f":
        if not (low >= 0 and high <= 1):  # also when a value is not a number
            raise DataError(
                f"{path} holds fractional values from {low:g} to {high:g}; only 0 to 1 has a known meaning.",
                "Save it as 8-bit or 16-bit, or scale it to 0..1.",
            )
        return np.rint(values.astype(np.float64) * 255).astype(np.uint8), ["fractional values 0..1 scaled to 8 bits"]
    if values.dtype.kind not in "ui" or low < 0 or high > 65535:
        raise DataError(
            f"{path} holds {values.dtype} values from {low} to {high}, which no picture has.",
            "Save it as an 8-bit or 16-bit image.",
        )
    bits = values.dtype.itemsize * 8
    if high <= 255:
        return values.astype(np.uint8), [f"{bits}-bit image with 8-bit values kept as they are"]
    if high <= 4095:
        full, note = 4095, f"{bits}-bit image taken for 12-bit, scaled by 4095 to 8 bits"
    else:
        full = 32767 if values.dtype == np.int16 else 65535
        note = f"16-bit image scaled by {full} to 8 bits"
    table = np.rint(np.arange(full + 1) * (255 / full)).astype(np.uint8)
    return table[values], [note]


def read_region(path: Path | str) -> np.ndarray:
    """Read the mask of the part of an image that counts, e.g. a fundus photograph's field of view.

    A pixel belongs to it where any channel is above zero, whatever the coding: 0 and 1, 0 and 255, gray, RGB or
    palette. A palette counts by its colors, or by its indices when the colors do not tell pixels apart. In a JPEG,
    whose black is not quite black, above 32.

    Returns:
        ``(height, width)`` bool.

    Raises:
        DataError: The file is unreadable, or has several pages.
    """
    decoded = decode(path)
    require_one_page(Path(path), decoded)
    inside = _above_zero(decoded, decoded.without_palette())
    if decoded.palette is not None and (inside.all() or not inside.any()):
        by_index = _above_zero(decoded, decoded.values)
        if by_index.any() and not by_index.all():
            return by_index
    return inside


def _above_zero(decoded: Decoded, values: np.ndarray) -> np.ndarray:
    inside: np.ndarray = values > (_JPEG_NOISE if decoded.lossy else 0)
    return inside if inside.ndim == 2 else np.any(inside, axis=-1)


def write_png(path: Path | str, array: np.ndarray, *, compress_level: int = 6) -> None:
    """Write a PNG whole or not at all.

    Args:
        path: File to write; its folder is made where needed.
        array: uint8 ``(height, width)`` or ``(1, height, width)`` gray, or ``(3, height, width)`` RGB.
        compress_level: 0 (fast, large) to 9 (slow, small).

    Raises:
        DataError: The array is no 8-bit picture, or the file cannot be written (full disk).
    """
    array = np.asarray(array)
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[0] == 3)):
        raise DataError(
            f"{path}: a PNG is written from uint8 (height, width) or (3, height, width), "
            f"not from {array.dtype} {array.shape}."
        )
    channels_last = array if array.ndim == 2 else np.moveaxis(array, 0, -1)
    # Encoded in memory: Pillow's own file writing loses the reason of a failure, such as a full disk.
    buffer = BytesIO()
    Image.fromarray(np.ascontiguousarray(channels_last)).save(buffer, format="PNG", compress_level=compress_level)
    atomic.write_bytes(path, buffer.getvalue())
