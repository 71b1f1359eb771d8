"""One picture of a volume to check its landmarks by: three slices through each, across the patient's axes."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from gracile.case import Case
from gracile.errors import DataError
from gracile.report.contents import ReportLayer
from gracile.report.layers import DIFFERENCES, RGB, jpeg, layer_png
from gracile.result import Landmark

FOUND_COLOR: RGB = (255, 176, 0)
TRUE_COLOR: RGB = DIFFERENCES["missed"]
_SIDE = 132
_GAP = 4
_CAPTION = 16
_VOXELS = 64
_ROW = 3
_PERCENTILES = (1.0, 99.5)
_VIEWS: dict[str, tuple[np.ndarray, np.ndarray, str]] = {
    "sagittal": (np.array([0.0, 0.0, -1.0]), np.array([0.0, -1.0, 0.0]), "SIAP"),
    "coronal": (np.array([0.0, 0.0, -1.0]), np.array([-1.0, 0.0, 0.0]), "SIRL"),
    "axial": (np.array([0.0, -1.0, 0.0]), np.array([-1.0, 0.0, 0.0]), "APRL"),
}
"""Of each view where its rows and columns run to in RAS, and what lies at its top, bottom, left and right.

Slices are seen as a radiologist sees them: axial ones from the feet, the patient's right on the left.
"""


def landmark_layers(
    case: Case, landmarks: Sequence[Landmark], truth: Mapping[str, np.ndarray] | None = None
) -> tuple[bytes, list[ReportLayer]]:
    """Draw a sagittal, a coronal and an axial slice through every landmark, three landmarks in a row.

    A slice runs through the found point, or through the true one where it was not found; the other of the two is drawn
    where it lies seen along the slice's normal. Landmarks with neither are left out.

    Args:
        case: The volume.
        landmarks: What was looked for.
        truth: ``(3,)`` RAS+ mm by landmark.

    Returns:
        The base as JPEG and the layers, all of one size: what was found as crosses, the truth as circles.

    Raises:
        DataError: No volume with an affine, or no point to show.
    """
    if case.image.ndim != 4 or case.grid.affine is None or case.grid.spacing_mm is None:
        raise DataError(f"{case.id}: landmarks are drawn in a volume with an affine, not in {case.image.shape}.")
    true = truth or {}
    shown = [part for part in landmarks if part.point_mm is not None or part.name in true]
    if not shown:
        raise DataError(f"{case.id} has no point to show.", "None was found, and no truth is given.")
    mm_per_pixel = _VOXELS * min(case.grid.spacing_mm) / _SIDE
    width, height = 3 * _SIDE + 3 * _GAP, _SIDE + _CAPTION + _GAP
    size = (min(len(shown), _ROW) * width, -(-len(shown) // _ROW) * height)
    base, found_marks, true_marks = (Image.new("L", size) for _ in range(3))
    values = case.looked_at[0]
    low, high = np.percentile(values.ravel()[:: max(1, values.size // 200_000)], _PERCENTILES)
    pen, font = ImageDraw.Draw(base), ImageFont.load_default(12)
    for number, part in enumerate(shown):
        left, top = number % _ROW * width, number // _ROW * height
        place = true.get(part.name)
        center = part.point_mm if part.point_mm is not None else place
        assert center is not None
        pen.text((left + 2, top + 1), _caption(part, place), fill=255, font=font)
        for index, (down, across, letters) in enumerate(_VIEWS.values()):
            corner = left + index * (_SIDE + _GAP), top + _CAPTION
            gray = _slice(case, center, down * mm_per_pixel, across * mm_per_pixel, low, high)
            base.paste(Image.fromarray(gray), corner)
            _letters(pen, font, corner, letters)
            for marks, point, drawn in ((found_marks, part.point_mm, _cross), (true_marks, place, _circle)):
                if point is not None:
                    away = (np.asarray(point) - center) / mm_per_pixel
                    x, y = away @ across + (_SIDE - 1) / 2, away @ down + (_SIDE - 1) / 2
                    if 0 <= x < _SIDE and 0 <= y < _SIDE:
                        drawn(ImageDraw.Draw(marks), corner[0] + x, corner[1] + y)
    layers = [ReportLayer("Points", FOUND_COLOR, png=_png(found_marks, FOUND_COLOR, size), group="Found")]
    if true:
        layers.append(ReportLayer("Points", TRUE_COLOR, png=_png(true_marks, TRUE_COLOR, size), group="Truth"))
    return jpeg([base], quality=88), layers


def _slice(
    case: Case, center: np.ndarray, down: np.ndarray, across: np.ndarray, low: float, high: float
) -> np.ndarray:  # fmt: skip
    """``(side, side)`` uint8 of the plane around a point, between two intensities; 0 outside of the volume."""
    assert case.grid.affine is not None
    steps = np.arange(_SIDE) - (_SIDE - 1) / 2
    places = center + steps[:, None, None] * down + steps[None, :, None] * across
    inverse = np.linalg.inv(case.grid.affine)
    voxels = np.moveaxis(places @ inverse[:3, :3].T + inverse[:3, 3], -1, 0)
    values = ndimage.map_coordinates(case.looked_at[0], voxels, order=1, cval=low, output=np.float32)
    return np.asarray(np.clip((values - low) * (255 / max(high - low, 1e-6)), 0, 255).astype(np.uint8))


def _caption(part: Landmark, truth: np.ndarray | None) -> str:
    if part.point_mm is None:
        return f"{part.name}: not found"
    if truth is None:
        return f"{part.name}: {part.probability:.2f}"
    return f"{part.name}: {float(np.linalg.norm(part.point_mm - truth)):.2f} mm"


def _letters(pen: ImageDraw.ImageDraw, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, corner: tuple[int, int],
             letters: str) -> None:  # fmt: skip
    left, top = corner
    middle, end = _SIDE / 2, _SIDE - 3
    places = ((middle, 2, "ma"), (middle, end, "md"), (3, middle, "lm"), (end, middle, "rm"))
    for letter, (x, y, anchor) in zip(letters, places, strict=True):
        pen.text((left + x, top + y), letter, fill=200, font=font, anchor=anchor, stroke_width=1, stroke_fill=0)


def _cross(pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
    for dx, dy in ((1, 0), (0, 1)):
        pen.line([(x - 7 * dx, y - 7 * dy), (x - 2 * dx, y - 2 * dy)], fill=255, width=1)
        pen.line([(x + 2 * dx, y + 2 * dy), (x + 7 * dx, y + 7 * dy)], fill=255, width=1)


def _circle(pen: ImageDraw.ImageDraw, x: float, y: float) -> None:
    pen.ellipse([(x - 5, y - 5), (x + 5, y + 5)], outline=255, width=1)


def _png(marks: Image.Image, color: RGB, size: tuple[int, int]) -> bytes:
    return layer_png(np.asarray(marks) > 127, color, size)
