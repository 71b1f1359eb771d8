"""Decode a picture file into the values it really holds, before anyone scales or interprets them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError

from gracile.errors import DataError
from gracile.io.bounded import BoundedFile
from gracile.io.dicom import is_dicom
from gracile.io.dicom.pictures import read_stored
from gracile.io.kinds import group_by_content
from gracile.io.tiff_pages import UNREADABLE, Pages, tiff_pages, upright

MAX_PIXELS = 300_000_000
_TIFF_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
# Pillow keeps only the high byte of a 16-bit color sample; decoded in the other byte order it gives the low byte.
_OTHER_BYTE_ORDER = {"16B": "16L", "16L": "16B", "16N": "16B" if np.little_endian else "16L"}
_PLAIN = (0, 1, 2)
"""How values of a TIFF stand for light, where they do so as they are: white or black is zero, or RGB."""

_REMEDY = "Open it in an image viewer; if it does not show there either, copy or export it again."
_OF_A_VIDEO = "Name one of its frames; `gracile predict` and gracile.predict take videos."


@dataclass
class Decoded:
    """What a picture file holds.

    Args:
        values: ``(height, width)`` or ``(height, width, channels)`` in the file's own number type;
            palette files keep their indices.
        palette: ``(colors, 3)`` uint8 of a palette file, else None.
        lossy: Whether the file is a JPEG, whose values near edges are not the written ones.
        alpha: ``(height, width)`` opacity from 0 to 1, or None when the file has none or is opaque.
        pages: How many pages or frames the file has; the values are those of the first.
        flags: What was lost or guessed; see `gracile.case.Case`.
        notes: What was converted.
    """

    values: np.ndarray
    palette: np.ndarray | None = None
    lossy: bool = False
    alpha: np.ndarray | None = None
    pages: int = 1
    flags: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def without_palette(self) -> np.ndarray:
        """The values, palette indices replaced by their colors (gray when every color is gray)."""
        if self.palette is None:
            return self.values
        colors = self.palette[self.values]
        gray = (colors[..., 0] == colors[..., 1]).all() and (colors[..., 0] == colors[..., 2]).all()
        return colors[..., 0] if gray else colors


def decode(path: Path | str, channels: int = 0) -> Decoded:
    """Decode a PNG, TIF, JPEG, GIF, BMP or DICOM file, turned upright by its EXIF or TIFF orientation.

    The kind of file is told by its content, not by its suffix. Of several pages or frames the first is read; a TIFF's
    thumbnails and smaller copies of the picture are none.

    Args:
        path: The file.
        channels: A number above 1 wants so many channels where the file has them, as samples or as pages of a TIFF:
            none of them is then taken for opacity.

    Raises:
        DataError: The file is absent, empty, truncated, unreadable or claims more than 300 megapixels.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder, and one picture is needed.", "Name a file in it.")
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror or error}.", "Check the name and rights.") from error
    if not magic:
        raise DataError(f"{path} is empty (zero bytes).", "Copy or export the file again.")
    if is_dicom(path):
        return Decoded(read_stored(path))
    try:
        pages = tiff_pages(path) if magic in _TIFF_MAGIC else Pages()
        decoded = _tiff_channels(path, pages, channels) if magic in _TIFF_MAGIC and channels > 1 else None
        if decoded is not None:
            return decoded
        decoded = _decode_tiff(path, pages.first) if magic in _TIFF_MAGIC else None
        if decoded is None:
            # By file object: given a name, Pillow maps uncompressed TIFFs and shears those on their side.
            with _no_pillow_limit(), BoundedFile(path) as file, Image.open(file) as image:
                if magic not in _TIFF_MAGIC:
                    pages = Pages(count=int(getattr(image, "n_frames", 1)))
                elif pages.first:
                    image.seek(pages.first)
                _check_size(path, image.width, image.height)
                decoded = _decode_pillow(path, image)
    except UnidentifiedImageError as error:
        if group_by_content(path) == "video":
            raise DataError(f"{path} is a video, and one picture is needed.", _OF_A_VIDEO) from error
        raise DataError(f"{path} cannot be read as an image (it is of no kind that is known).", _REMEDY) from error
    except UNREADABLE as error:
        reason = str(error).replace(str(path), path.name).rstrip(".")
        raise DataError(f"{path} cannot be read as an image ({reason}).", _REMEDY) from error
    if channels < 2 or decoded.values.shape[2:] != (channels,):
        _split_alpha(decoded)
    decoded.pages = pages.count
    if pages.count > 1:
        decoded.flags.insert(0, f"the file has {pages.count} frames or pages; the first was read")
    if pages.smaller:
        decoded.notes.insert(0, "thumbnails or smaller copies of the picture in the file were passed over")
    return decoded


def require_one_page(path: Path, decoded: Decoded) -> None:
    """Refuse a mask of several pages or frames: any of them could be the one that is meant. Raises DataError."""
    if decoded.pages > 1:
        raise DataError(f"{path} has {decoded.pages} frames or pages; a mask has one.", "Save the one that is meant.")


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{path} claims {width} x {height} pixels, more than the limit of {MAX_PIXELS // 10**6} megapixels.",
            "Crop or downsample it, or check that the file is not damaged.",
        )


_pillow_lock = threading.RLock()


@contextmanager
def _no_pillow_limit() -> Iterator[None]:
    """Put our own limit, which is checked before any pixel is decoded, in the place of Pillow's lower one."""
    with _pillow_lock:
        before = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _decode_pillow(path: Path, image: Image.Image) -> Decoded:
    notes = []
    deep = _both_bytes(path, image)
    if deep is not None:
        return Decoded(deep)
    if image.getexif().get(274, 1) not in (0, 1):
        notes.append("turned upright as its EXIF orientation says")
    lossy = image.format in ("JPEG", "MPO")
    image = ImageOps.exif_transpose(image)
    if image.mode in ("P", "PA") and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == "P":
        flat = image.getpalette("RGB") or []
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(flat) // 3] = np.array(flat, np.uint8).reshape(-1, 3)
        return Decoded(np.array(image), palette, lossy, notes=notes)
    if image.mode not in ("1", "L", "LA", "RGB", "RGBA", "I;16", "I;16B", "I;16L", "I", "F"):
        notes.append(f"converted from {image.mode} to RGB")
        image = image.convert("RGBA" if image.mode in ("PA", "RGBa") else "RGB")
    values = np.array(image)
    return Decoded(values.astype(values.dtype.newbyteorder("=")), None, lossy, notes=notes)


def _both_bytes(path: Path, image: Image.Image) -> np.ndarray | None:
    """All 16 bits of a 16-bit color picture, or None for any other."""

    tiles = getattr(image, "tile", [])
    if image.mode not in ("RGB", "RGBA") or not tiles or not tiles[0].args:
        return None
    args = tiles[0].args
    mode, _, order = str(args if isinstance(args, str) else args[0]).partition(";")
    if order not in _OTHER_BYTE_ORDER:
        return None
    swapped = f"{mode};{_OTHER_BYTE_ORDER[order]}"
    high = np.array(ImageOps.exif_transpose(image))
    with path.open("rb") as file, Image.open(file) as other:
        other.seek(image.tell())
        tiles = getattr(other, "tile", [])
        swaps = [swapped if isinstance(tile.args, str) else (swapped, *tile.args[1:]) for tile in tiles]
        vars(other)["tile"] = [tile._replace(args=swap) for tile, swap in zip(tiles, swaps, strict=True)]
        low = np.array(ImageOps.exif_transpose(other))
    return high.astype(np.uint16) << 8 | low


def _decode_tiff(path: Path, index: int) -> Decoded | None:
    """A TIFF with more than 8 bits or unusual channels; None where Pillow reads it as well or better."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[index]
        assert isinstance(page, tifffile.TiffPage)
        _check_size(path, page.imagewidth, page.imagelength)
        plain = page.dtype == np.uint8 and page.samplesperpixel in (1, 3, 4)
        if plain or page.bitspersample == 1 or page.photometric in (3, 5, 6):  # palette, CMYK, YCbCr
            return None
        try:
            values = page.asarray()
        except ValueError as error:
            if "imagecodecs" in str(error):  # a compression that tifffile has no decoder for, and Pillow has
                return None
            raise
        if page.photometric == 0 and values.dtype.kind == "u":
            values = np.iinfo(values.dtype).max - values
        if page.axes.startswith("S"):
            values = np.moveaxis(values, 0, -1)
        tag = page.tags.get(274)
        orientation = int(tag.value) if tag is not None else 1
    if values.ndim not in (2, 3):
        raise ValueError(f"an array of {values.ndim} axes is not a picture")
    notes = []
    if orientation not in (0, 1):
        notes.append("turned upright as its TIFF orientation says")
        values = upright(values, orientation)
    return Decoded(values, notes=notes)


def _tiff_channels(path: Path, pages: Pages, channels: int) -> Decoded | None:
    """A TIFF that has so many channels, each a sample of its pixels or a page of its own; None for another."""
    with tifffile.TiffFile(path) as file:
        file.pages.useframes = False
        some = [page for index in pages.whole if isinstance(page := file.pages[index], tifffile.TiffPage)]
        first = some[0]
        apart = len(some) == channels and all(page.samplesperpixel == 1 for page in some)
        if not (apart or first.samplesperpixel == channels) or first.photometric not in _PLAIN:
            return None
        _check_size(path, first.imagewidth, first.imagelength)
        if apart and len({(page.shape, page.dtype) for page in some}) > 1:
            raise ValueError("its pages are of several sizes or kinds")
        values = np.stack([page.asarray() for page in some], axis=-1) if apart else first.asarray()
        if not apart and first.axes.startswith("S"):
            values = np.moveaxis(values, 0, -1)
        if first.photometric == 0 and values.dtype.kind == "u":
            values = np.iinfo(values.dtype).max - values
        tag = first.tags.get(274)
    if values.ndim != 3:
        raise ValueError(f"an array of {values.ndim} axes is not a picture")
    orientation = int(tag.value) if tag is not None else 1
    if orientation in (0, 1):
        return Decoded(values)
    return Decoded(upright(values, orientation), notes=["turned upright as its TIFF orientation says"])


def _split_alpha(decoded: Decoded) -> None:
    """Take the opacity out of the values of a gray + alpha or RGB + alpha picture."""
    values = decoded.values
    if values.ndim == 3 and values.shape[2] == 1:
        decoded.values = values[..., 0]
    elif values.ndim == 3 and values.shape[2] in (2, 4):
        full = np.iinfo(values.dtype).max if values.dtype.kind in "ui" else 1
        opacity = values[..., -1]
        decoded.values = values[..., 0] if values.shape[2] == 2 else np.ascontiguousarray(values[..., :3])
        if (opacity != full).any():
            decoded.alpha = opacity.astype(np.float32) / full
