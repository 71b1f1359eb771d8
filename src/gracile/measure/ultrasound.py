"""Size, depth and contrast of each structure in an ultrasound image."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from scipy import ndimage

from gracile.case import Case
from gracile.measure.base import Measure, MicrometersPerPixel, mask_of, pixel_spacing_mm, region_of
from gracile.recipe import Recipe
from gracile.result import Measurement, Result
from gracile.transforms.scan import find_skin_line

RING_MM = 1.5
"""Width of the ring of background around a structure where the pixel size is known, in mm."""

RING_PX = 10.0
"""Width of that ring where it is not, in pixels of the input."""


class Ultrasound(Measure):
    """Size, depth and contrast of each class; see `ultrasound_measurements`."""

    ring_mm: float = Field(RING_MM, gt=0, description="width of the ring of background where the pixel size is known")
    ring_px: float = Field(RING_PX, gt=0, description="its width where that is not known, in pixels of the input")
    um_per_pixel: MicrometersPerPixel = None

    def add(self, case: Case, result: Result, recipe: Recipe) -> None:
        measurements, marks = ultrasound_measurements(
            case.image, mask_of(result), region_of(result), recipe.class_names,
            pixel_spacing_mm(result, self.um_per_pixel), self.ring_mm, self.ring_px,
        )  # fmt: skip
        result.measurements += measurements
        result.marks.update(marks)


@dataclass(frozen=True)
class Structure:
    """One class of a mask.

    Args:
        name: Its name.
        member: ``(height, width)`` bool, its pixels.
        islands: Number of its 8-connected pieces.
        row: Row of its centroid in pixels; None when it is absent, as is ``column``.
        column: Column of its centroid.
    """

    name: str
    member: np.ndarray
    islands: int
    row: float | None = None
    column: float | None = None


def ultrasound_measurements(
    image: np.ndarray,
    mask: np.ndarray,
    region: np.ndarray,
    classes: list[str],
    spacing_mm: tuple[float, ...] | None = None,
    ring_mm: float = RING_MM,
    ring_px: float = RING_PX,
) -> tuple[list[Measurement], dict[str, object]]:
    """Measure each foreground class of an ultrasound image.

    Per class: ``area`` of the cross-section (mm2 or px2); ``equivalent_diameter``, that of the circle of its area (mm
    or px); ``islands`` (8-connected); ``center_row`` and ``center_column`` of the centroid (px); ``depth`` of the
    centroid and ``depth_top`` of the shallowest pixel below the skin line, straight down (mm or px); ``nbr``, the
    nerve-to-background ratio: mean intensity inside over that of the ring around it, without other classes and what
    lies outside the region; ``nbr_to_CLASS``, the same over each other class. A value is None where it is undefined:
    the class is absent, no skin line was found, or the background is empty or black.

    Args:
        image: ``(1 or 3, height, width)`` uint8; of three channels the mean counts.
        mask: ``(height, width)`` uint8 class indices.
        region: ``(height, width)`` bool, the scan.
        classes: Names of the classes, the background first.
        spacing_mm: (row, column) distance of pixels in mm, or None.
        ring_mm: Width of the ring where the spacing is known.
        ring_px: Its width in pixels where it is not.

    Returns:
        The measurements, and the marks: ``center`` of each class, points of the ``skin`` line.
    """
    gray = image.astype(np.float32).mean(axis=0)
    skin = find_skin_line(image, region)
    structures = [_structure(name, mask == index) for index, name in enumerate(classes[1:], start=1)]
    foreground = mask > 0
    measurements: list[Measurement] = []
    for structure in structures:
        measurements += _sizes(structure, spacing_mm)
        measurements += _depths(structure, skin, spacing_mm[0] if spacing_mm else None)
        width, sampling = (ring_mm, spacing_mm) if spacing_mm else (ring_px, None)
        ring = ring_around(structure.member, width, sampling) & region & ~foreground
        note = f"against a ring of {width:g} {'mm' if spacing_mm else 'px'}"
        measurements.append(Measurement("nbr", _ratio(gray, structure.member, ring), "1", structure.name, note))
        measurements += [
            Measurement(f"nbr_to_{other.name}", _ratio(gray, structure.member, other.member), "1", structure.name)
            for other in structures
            if other is not structure
        ]
    return measurements, _marks(structures, skin)


def ring_around(member: np.ndarray, width: float, spacing: tuple[float, ...] | None = None) -> np.ndarray:
    """The pixels outside a structure whose Euclidean distance from it is at most ``width``.

    Args:
        member: ``(height, width)`` bool.
        width: Width of the ring, in the unit of the spacing, or in pixels without one.
        spacing: (row, column) distance of pixels.
    """
    ring = np.zeros_like(member)
    if not member.any():
        return ring
    margins = [int(np.ceil(width / step)) + 1 for step in (spacing or (1.0, 1.0))]
    (found,) = ndimage.find_objects(member.astype(np.uint8))
    box = tuple(slice(max(0, s.start - m), s.stop + m) for s, m in zip(found, margins, strict=True))
    distance = ndimage.distance_transform_edt(~member[box], sampling=spacing)
    ring[box] = (distance > 0) & (distance <= width)
    return ring


def _structure(name: str, member: np.ndarray) -> Structure:
    if not member.any():
        return Structure(name, member, 0)
    row, column = ndimage.center_of_mass(member)
    return Structure(name, member, ndimage.label(member, structure=np.ones((3, 3)))[1], float(row), float(column))


def _sizes(structure: Structure, spacing_mm: tuple[float, ...] | None) -> Iterator[Measurement]:
    unit = "mm" if spacing_mm else "px"
    area = float(structure.member.sum()) * (float(np.prod(spacing_mm)) if spacing_mm else 1.0)
    diameter = 2 * float(np.sqrt(area / np.pi)) if area else None
    yield Measurement("area", area, f"{unit}2", structure.name)
    yield Measurement("equivalent_diameter", diameter, unit, structure.name)
    yield Measurement("islands", float(structure.islands), "1", structure.name)
    yield Measurement("center_row", structure.row, "px", structure.name)
    yield Measurement("center_column", structure.column, "px", structure.name)


def _depths(structure: Structure, skin: np.ndarray, row_mm: float | None) -> Iterator[Measurement]:
    """Depths of the centroid and of the shallowest pixel; above the skin line a depth is 0."""
    unit, scale = ("mm", row_mm) if row_mm else ("px", 1.0)
    center = top = None
    if structure.row is not None and structure.column is not None:
        center = _known(structure.row - skin[round(structure.column)])
        columns = np.flatnonzero(structure.member.any(axis=0))
        below = structure.member[:, columns].argmax(axis=0) - skin[columns]
        top = None if np.isnan(below).all() else _known(float(np.nanmin(below)))
    note = "from the skin line" if not np.isnan(skin).all() else "no skin line was found"
    for name, value in (("depth", center), ("depth_top", top)):
        yield Measurement(name, None if value is None else max(0.0, value) * scale, unit, structure.name, note)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _ratio(gray: np.ndarray, inside: np.ndarray, background: np.ndarray) -> float | None:
    """Mean intensity inside over that of the background; None when either is empty or the background is black."""
    if not inside.any() or not background.any():
        return None
    mean = float(gray[background].mean(dtype=np.float64))
    return float(gray[inside].mean(dtype=np.float64)) / mean if mean > 0 else None


def _marks(structures: list[Structure], skin: np.ndarray) -> dict[str, object]:
    marks: dict[str, object] = {}
    centers = {s.name: {"row": s.row, "column": s.column} for s in structures if s.row is not None}
    if centers:
        marks["center"] = centers
    columns = np.flatnonzero(~np.isnan(skin))
    chosen = columns[:: max(1, len(columns) // 40)]
    if chosen.size:
        marks["skin"] = [{"row": float(skin[column]), "column": float(column)} for column in chosen]
    return marks
