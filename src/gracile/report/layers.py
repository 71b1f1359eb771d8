"""Pictures of a page: a JPEG base, and one transparent PNG per class, for the truth and for where they differ."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image

from gracile.case import Case
from gracile.errors import DataError
from gracile.geometry import Grid
from gracile.io import overlay
from gracile.report.bands import COLOR as BAND_COLOR
from gracile.report.bands import band_around, band_layer
from gracile.report.contents import ReportLayer
from gracile.report.marks import RGB, mark_layers
from gracile.result import Quality, Result

DIFFERENCES: dict[str, RGB] = {"wrong class": (240, 228, 66), "missed": (86, 180, 233), "false alarm": (213, 94, 0)}
"""Colors that color-blind people tell apart too (Okabe and Ito 2008); the page shows them over a gray picture."""

_LEVELS = 16
_DARKEST = 0.15
_LAYER_OPACITY = 0.55


def result_layers(
    case: Case,
    result: Result,
    colors: Sequence[Sequence[int]],
    truth: np.ndarray | None = None,
    longest: int = 1000,
) -> tuple[bytes, list[ReportLayer]]:
    """Draw a result for the page.

    Where the picture is shrunk, a pixel's opacity is the square root of the share that the class has of it, so that a
    vessel of one pixel in a large photograph stays visible and a wide one is not thickened.

    Args:
        case: The picture, ``(1 or 3, height, width)`` uint8.
        result: Its mask and marks; without a mask there are no layers.
        colors: RGB by class index; those too dark to be seen are lightened, see `visible_color`.
        truth: ``(height, width)`` class indices; adds layers of the truth and of the differences within the result's
            region, and only the differences are switched on at first.
        longest: The longer side of the picture in pixels; a smaller one keeps its size.

    Returns:
        The base as JPEG and the layers, all of one size: the classes, the truth, the differences, the band that is
        expected to hold the true outline, the marks.

    Raises:
        DataError: Sizes that do not fit together, a class without color, or no picture at all (a volume).
    """
    if case.image.ndim != 3:
        raise DataError(f"{case.id}: a report draws pictures, not arrays of shape {case.image.shape}.")
    height, width = case.image.shape[1:]
    for role, labels in (("mask", result.mask), ("truth", truth)):
        if labels is not None and labels.shape != (height, width):
            raise DataError(f"{case.id}: the {role} has size {labels.shape}, the image {(height, width)}.")
    if len(colors) < len(result.classes):
        raise DataError(f"{case.id}: {len(result.classes)} classes have only {len(colors)} colors.")
    scale = min(1.0, longest / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    base = jpeg([_shrunk(channel, size) for channel in case.looked_at], quality=85)
    if result.mask is None:
        return base, []
    tints = [visible_color(color) for color in colors]
    named = list(zip(result.classes, tints, strict=False))
    layers = _class_layers("Found", result.mask, named, size, shown=truth is None)
    if truth is not None:
        layers += _class_layers("Truth", truth, named, size, shown=False)
        layers += _difference_layers(result.mask, truth, result.region, size)
    if result.quality is not None and result.quality.band is not None:
        layers.append(_band_layer(result.mask, result.quality, result.grid, size))
    return base, layers + mark_layers(result.marks, (height, width), dict(named), shown=truth is None)


def _band_layer(mask: np.ndarray, quality: Quality, grid: Grid, size: tuple[int, int]) -> ReportLayer:
    """The band as it is at the page's size; a class of higher index goes before others where pixels are joined."""
    step = max(1, mask.shape[1] // size[0])
    rows, columns = (length // step * step for length in mask.shape)
    blocks = mask[:rows, :columns].reshape(rows // step, step, columns // step, step)
    small = blocks.max(axis=(1, 3))
    spacing = grid.spacing_mm if quality.band_unit == "mm" and grid.spacing_mm is not None else (1.0, 1.0)
    sampling = tuple(float(one) * step for one in spacing)
    member = band_around(small, quality.band or 0.0, sampling)
    return band_layer(layer_png(member, BAND_COLOR, size))


def draw_overlay(image: np.ndarray, mask: np.ndarray, colors: Sequence[Sequence[int]]) -> bytes:
    """A picture at its own size with the classes laid over it, as JPEG of quality 90 with full color resolution.

    Args:
        image: ``(1 or 3, height, width)`` uint8.
        mask: ``(height, width)`` class indices; the background stays as it is.
        colors: RGB by class index; those too dark to be seen are lightened, see `visible_color`.

    Raises:
        DataError: The sizes differ, or the mask holds a class that has no color.
    """
    blended = overlay(image, mask, [visible_color(color) for color in colors], alpha=_LAYER_OPACITY)
    return jpeg([Image.fromarray(channel) for channel in blended], quality=90, full_color=True)


def laid_over(base: bytes, layers: Sequence[ReportLayer]) -> bytes:
    """A base with all of the raster layers laid over it, as JPEG of quality 90 with full color resolution."""
    picture = Image.open(BytesIO(base)).convert("RGBA")
    for layer in layers:
        picture.alpha_composite(Image.open(BytesIO(layer.png)).convert("RGBA"))
    return jpeg([picture.convert("RGB").getchannel(channel) for channel in "RGB"], quality=90, full_color=True)


def visible_color(color: Sequence[int]) -> RGB:
    """A color as it is drawn: mixed with as little white as lifts its relative luminance (WCAG 2) to 0.15.

    Pure blue over a dark photograph cannot be seen.
    """
    for white in range(0, 256, 5):
        red, green, blue = (round(channel + (255 - channel) * white / 255) for channel in color)
        linear = [((v / 255 + 0.055) / 1.055) ** 2.4 if v > 10 else v / 255 / 12.92 for v in (red, green, blue)]
        if 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] >= _DARKEST:
            break
    return red, green, blue


def _class_layers(
    group: str, labels: np.ndarray, classes: list[tuple[str, RGB]], size: tuple[int, int], *, shown: bool
) -> list[ReportLayer]:
    return [
        ReportLayer(name, color, png=layer_png(labels == index, color, size), group=group, shown=shown)
        for index, (name, color) in enumerate(classes)
        if index > 0
    ]


def _difference_layers(
    mask: np.ndarray, truth: np.ndarray, region: np.ndarray | None, size: tuple[int, int]
) -> list[ReportLayer]:
    unequal = mask != truth
    if region is not None:
        unequal &= region
    members = {
        "wrong class": unequal & (mask > 0) & (truth > 0),
        "missed": unequal & (mask == 0),
        "false alarm": unequal & (truth == 0),
    }
    return [
        ReportLayer(name, color, png=layer_png(members[name], color, size), group="Differences")
        for name, color in DIFFERENCES.items()
    ]


def layer_png(member: np.ndarray, color: RGB, size: tuple[int, int]) -> bytes:
    """A PNG of one color in 16 steps of opacity, 4 bits a pixel."""
    share = np.asarray(_shrunk(member.astype(np.uint8) * 255, size))
    steps = np.ceil(np.arange(256) * (_LEVELS - 1) / 255)  # rounded up: the least share is seen
    levels = steps.astype(np.uint8)[share]
    picture = Image.fromarray(levels, mode="P")
    picture.putpalette(list(color) * _LEVELS)
    opacity = bytes(round(255 * (level / (_LEVELS - 1)) ** 0.5) for level in range(_LEVELS))
    buffer = BytesIO()
    picture.save(buffer, format="PNG", bits=4, transparency=opacity, optimize=True)
    return buffer.getvalue()


def _shrunk(channel: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """One uint8 channel, each pixel the mean of the area it covers."""
    picture = Image.fromarray(np.ascontiguousarray(channel))
    return picture if picture.size == size else picture.resize(size, Image.Resampling.BOX)


def jpeg(channels: list[Image.Image], quality: int, full_color: bool = False) -> bytes:
    picture = channels[0] if len(channels) == 1 else Image.merge("RGB", channels)
    buffer = BytesIO()
    picture.save(buffer, format="JPEG", quality=quality, subsampling=0 if full_color else 2, optimize=True)
    return buffer.getvalue()
