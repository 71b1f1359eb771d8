"""One picture of a volume to check a mask by: along the line, and slice by slice across it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from gracile.case import Case
from gracile.errors import DataError
from gracile.geometry import Slices, axial_slices
from gracile.report.bands import COLOR as BAND_COLOR
from gracile.report.bands import band_around, band_layer
from gracile.report.contents import ReportLayer
from gracile.report.layers import DIFFERENCES, jpeg, layer_png, visible_color
from gracile.report.marks import RGB
from gracile.report.volume_panels import Panel, along_panels, axial_panel
from gracile.result import Result

_TALLEST = 680
_FINEST = 6.0
_GAP = 6
_LETTER = 13
_LINE_COLOR: RGB = (90, 230, 120)
_TRUTH_COLOR: RGB = DIFFERENCES["missed"]
_PERCENTILES = (1.0, 99.5)
_GAMMA = 0.65
_COLUMNS = 3
_NARROW = 120
_MARGIN_MM = 16.0

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class _Sheet:
    """Panels and where their upper left corners lie."""

    panels: list[Panel]
    corners: list[tuple[int, int]]
    size: tuple[int, int]


def volume_layers(
    case: Case,
    result: Result,
    colors: Sequence[Sequence[int]],
    truth: np.ndarray | None = None,
    *,
    axial: int = 12,
    axial_mm: float = 44.0,
) -> tuple[bytes, list[ReportLayer]]:
    """Draw a volume for the page: a sagittal and a coronal view along the line, and axial slices around it.

    The sagittal view is cut where the line runs from right to left on each slice, the coronal one where it runs from
    front to back, so that both show the structure in full however it bends. Where no stage looked for a line, none is
    drawn, and both are planes through most of what was found. Slices are seen as a radiologist sees
    them: from the feet, the patient's right on the left. Millimeters are equal in all directions of a view. Borders
    are those of the voxels. Each view has a window of its own, between the 1st and the 99.5th percentile, as coils
    leave the ends of a scan darker; the two long views are also lightened by a gamma of 0.65.

    Args:
        case: The volume, ``(channels, I, J, K)``; the channel that is looked at is shown.
        result: Its mask, and its centerline where a stage found one.
        colors: RGB by class index.
        truth: ``(I, J, K)`` class indices, drawn as outlines too.
        axial: Number of axial slices.
        axial_mm: Side of each.

    Returns:
        The base as JPEG and the layers, all of one size: outlines of the classes, of the truth, the band that is
        expected to hold the true outline, and the line, as far as they are known.

    Raises:
        DataError: Sizes that do not fit together, no affine, or a class without color.
    """
    slices = _checked(case, result, colors, truth)
    course = _course(slices, case, result, truth, axial_mm)
    sheet = _arranged(slices, course, _shown(slices, result, truth), axial)
    base = jpeg([Image.fromarray(_gray_sheet(sheet, slices.volume))], quality=88)
    size = (sheet.size[1], sheet.size[0])
    layers = []
    found, true = _oriented(result.mask, case), _oriented(truth, case)
    for labels, group in ((found, "Found"), (true, "Truth")):
        if labels is None:
            continue
        for index, name in enumerate(result.classes[1:], start=1):
            color = visible_color(colors[index]) if group == "Found" else _TRUTH_COLOR
            width = 2 if group == "Found" else 1  # so that both are seen where they are the same
            outline = _assembled(sheet, [_outline(panel.labels(labels) == index, width) for panel in sheet.panels])
            layers.append(ReportLayer(name, color, png=layer_png(outline, color, size), group=group))
    if found is not None and result.quality is not None and result.quality.band is not None:
        reach = result.quality.band
        band = _assembled(sheet, [_band(panel, panel.labels(found), reach) for panel in sheet.panels])
        layers.append(band_layer(layer_png(band, BAND_COLOR, size)))
    if result.centerline is None:
        return base, layers
    line = _assembled(sheet, [_line_drawn(panel) for panel in sheet.panels])
    layers.append(ReportLayer("Centerline", _LINE_COLOR, png=layer_png(line, _LINE_COLOR, size), group="Marks"))
    return base, layers


def _checked(case: Case, result: Result, colors: Sequence[Sequence[int]], truth: np.ndarray | None) -> Slices:
    if case.image.ndim != 4 or case.grid.affine is None:
        raise DataError(f"{case.id}: a sheet is drawn of a volume with an affine, not of {case.image.shape}.")
    for role, labels in (("mask", result.mask), ("truth", truth)):
        if labels is not None and labels.shape != case.grid.shape:
            raise DataError(f"{case.id}: the {role} has size {labels.shape}, the volume {case.grid.shape}.")
    if len(colors) < len(result.classes):
        raise DataError(f"{case.id}: {len(result.classes)} classes have only {len(colors)} colors.")
    return axial_slices(case.looked_at[0], case.grid.affine)


def _oriented(labels: np.ndarray | None, case: Case) -> np.ndarray | None:
    assert case.grid.affine is not None
    return None if labels is None else axial_slices(labels, case.grid.affine).volume


@dataclass(frozen=True)
class _Course:
    """Where a volume is looked at.

    Args:
        places: ``(slices, 2)`` row and column on every slice.
        known: ``(slices,)`` whether a line runs through the slice.
        side_mm: Side of the axial views.
    """

    places: np.ndarray
    known: np.ndarray
    side_mm: float


def _course(slices: Slices, case: Case, result: Result, truth: np.ndarray | None, side_mm: float) -> _Course:
    """Along the line that a stage found, beyond its ends at the ends' places.

    Without one, straight through the row and the column that show most of the mask, else of the truth, and wide enough
    for all of it; without either, through the middle of the volume.
    """
    assert case.grid.affine is not None
    spacing = np.array(slices.spacing_mm[1:])
    whole_mm = float((np.array(slices.volume.shape[1:]) * spacing).max())
    known = np.zeros(len(slices.volume), dtype=bool)
    if result.centerline is not None:
        line = result.centerline
        known[line.on_slices(slices)[0]] = True
        places = slices.to_places(line.on_slices(slices, beyond_mm=np.inf)[1].points_mm)[:, 1:]
        return _Course(places, known, min(side_mm, whole_mm))
    for labels in (result.mask, truth):
        if labels is None or not labels.any():
            continue
        seen = axial_slices(labels, case.grid.affine).volume
        sums = [np.count_nonzero(seen, axis=axes) for axes in ((0, 2), (0, 1))]
        place = np.array([int(counts.argmax()) for counts in sums])
        reach = max(
            float(np.abs(np.flatnonzero(counts) - at).max() * step)
            for counts, at, step in zip(sums, place, spacing, strict=True)
        )
        return _Course(np.tile(place, (len(known), 1)), known, min(max(side_mm, 2 * reach + _MARGIN_MM), whole_mm))
    middle = (np.array(slices.volume.shape[1:]) - 1) / 2
    return _Course(np.tile(middle, (len(known), 1)), known, min(3 * side_mm, whole_mm))


def _shown(slices: Slices, result: Result, truth: np.ndarray | None) -> tuple[int, int]:
    """First and last slice that axial views are taken from: those of the masks, or all."""
    assert result.grid.affine is not None
    present = np.zeros(len(slices.volume), dtype=bool)
    for labels in (result.mask, truth):
        if labels is not None:
            present |= axial_slices(labels, result.grid.affine).volume.any(axis=(1, 2))
    at = np.flatnonzero(present)
    return (int(at[0]), int(at[-1])) if len(at) else (0, len(present) - 1)


def _arranged(slices: Slices, course: _Course, shown: tuple[int, int], axial: int) -> _Sheet:
    """The views side by side: sagittal, coronal, and the axial ones in rows from above to below."""
    tall = len(slices.volume) * slices.spacing_mm[0]
    height = max(1, round(min(_TALLEST, _FINEST * tall)))
    sagittal, coronal = along_panels(slices, course.places, course.known, height=height)
    count = min(axial, shown[1] - shown[0] + 1)
    picks = np.linspace(shown[1], shown[0], 2 * count + 1)[1::2]  # the middles of equal parts
    rows = -(-count // _COLUMNS)
    side = max(120, (max(height, 480) - (rows - 1) * _GAP) // max(rows, 1))
    side = min(side, 200)
    panels = [sagittal, coronal]
    corners = [(0, 0), (0, sagittal.size[1] + _GAP)]
    left = corners[1][1] + coronal.size[1] + _GAP
    for number, index in enumerate(np.rint(picks).astype(int)):
        place, known = course.places[index], bool(course.known[index])
        panels.append(axial_panel(slices, int(index), place, known, side=side, side_mm=course.side_mm))
        row, column = divmod(number, _COLUMNS)
        corners.append((row * (side + _GAP), left + column * (side + _GAP)))
    bottom = max(corner[0] + panel.size[0] for corner, panel in zip(corners, panels, strict=True))
    right = max(corner[1] + panel.size[1] for corner, panel in zip(corners, panels, strict=True))
    return _Sheet(panels, corners, (bottom, right))


def _gray_sheet(sheet: _Sheet, volume: np.ndarray) -> np.ndarray:
    """``(height, width)`` uint8 with letters, ticks and scales on it."""
    grays = [panel.gray(volume) for panel in sheet.panels]
    toned = [_toned(gray, _GAMMA if number < 2 else 1.0) for number, gray in enumerate(grays)]
    picture = Image.fromarray(_assembled(sheet, toned))
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(_LETTER)
    for panel, (top, left) in zip(sheet.panels, sheet.corners, strict=True):
        _letter(pen, font, panel, top, left)
    for number in {0, min(2, len(sheet.panels) - 1)}:
        _scale(pen, font, sheet.panels[number], *sheet.corners[number])
    edge = sheet.panels[0].size[1]
    for panel in sheet.panels[2:]:  # where the axial views lie
        level = panel.places[0, 0, 0]
        row = int(np.abs(sheet.panels[0].places[:, 0, 0] - level).argmin())
        pen.line([(edge - 8, row), (edge - 1, row)], fill=255)
    return np.asarray(picture)


def _toned(gray: np.ndarray, gamma: float) -> np.ndarray:
    """uint8 between two percentiles of a view; what lies outside the volume is black."""
    known = gray[np.isfinite(gray)]
    low, high = np.percentile(known, _PERCENTILES) if known.size else (0.0, 1.0)
    share = np.nan_to_num((gray - low) / max(high - low, 1e-9), nan=0.0).clip(0, 1)
    return np.rint(255 * share**gamma).astype(np.uint8)


def _letter(pen: ImageDraw.ImageDraw, font: Font, panel: Panel, top: int, left: int) -> None:
    """Directions in the middle of the sides, and the caption in the upper left corner."""
    height, width = panel.size
    above, below, first, last = panel.letters
    places = (
        (above, left + width / 2, top + 3, "ma"),
        (below, left + width / 2, top + height - 3, "md"),
        (first, left + 4, top + height / 2, "lm"),
        (last, left + width - 4, top + height / 2, "rm"),
        (panel.caption if width >= _NARROW else "", left + 4, top + 3, "la"),
    )
    for text, x, y, anchor in places:
        pen.text((x, y), text, fill=255, font=font, anchor=anchor, stroke_width=2, stroke_fill=0)


def _scale(pen: ImageDraw.ImageDraw, font: Font, panel: Panel, top: int, left: int) -> None:
    """A bar of 1 or 2 cm in the lower left corner."""
    length = 20 if panel.size[1] * panel.mm_per_pixel > 60 else 10
    x, y = left + 6, top + panel.size[0] - 7
    pen.line([(x, y), (x + length / panel.mm_per_pixel, y)], fill=255, width=2)
    pen.text((x, y - 4), f"{length} mm", fill=255, font=font, anchor="ld", stroke_width=2, stroke_fill=0)


def _assembled(sheet: _Sheet, pictures: list[np.ndarray]) -> np.ndarray:
    whole = np.zeros(sheet.size, dtype=pictures[0].dtype)
    for (top, left), picture in zip(sheet.corners, pictures, strict=True):
        whole[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return whole


def _outline(member: np.ndarray, width: int) -> np.ndarray:
    """The outermost pixels of a region; one at the view's border is closed there."""
    return member & ~ndimage.binary_erosion(member, structure=np.ones((3, 3)), iterations=width)


def _band(panel: Panel, labels: np.ndarray, width_mm: float) -> np.ndarray:
    """What lies within a width of the outline as the view shows it."""
    return band_around(labels, width_mm, panel.mm_per_pixel)


def _line_drawn(panel: Panel) -> np.ndarray:
    """The line in a view along it, a small cross where it runs through the view."""
    picture = Image.new("1", panel.size[::-1])
    pen = ImageDraw.Draw(picture)
    if len(panel.line) > 1:
        pen.line([(float(x), float(y)) for y, x in panel.line], fill=1, width=1)
    elif len(panel.line):
        y, x = (float(value) for value in panel.line[0])
        pen.line([(x - 4, y), (x + 4, y)], fill=1)
        pen.line([(x, y - 4), (x, y + 4)], fill=1)
    return np.array(picture, dtype=bool)
